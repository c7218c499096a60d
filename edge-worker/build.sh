#!/usr/bin/env bash
# Builds the worker into build/. Called by wrangler (wrangler.toml, [build]) and by the tests.
# ../infra/wasm-toolchain.sh sees to the compiler and the tools; when they are there it takes a moment.
set -euo pipefail
cd "$(dirname "$0")"

../infra/wasm-toolchain.sh
eval "$(../infra/wasm-toolchain.sh env)"

# The workspace's release profile is the backend's. A worker is judged by its size instead.
export CARGO_PROFILE_RELEASE_OPT_LEVEL=z CARGO_PROFILE_RELEASE_LTO=fat CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1
export CARGO_PROFILE_RELEASE_PANIC=abort CARGO_PROFILE_RELEASE_STRIP=true

nice -n 5 worker-build --release .
