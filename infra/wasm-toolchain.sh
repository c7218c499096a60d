#!/usr/bin/env bash
# A compiler and tools that build edge-worker/ for wasm32-unknown-unknown.
#
#   infra/wasm-toolchain.sh        gets whatever is missing; run again, it only looks
#   infra/wasm-toolchain.sh env    prints the exports a build needs:  eval "$(infra/wasm-toolchain.sh env)"
#   infra/wasm-toolchain.sh path   prints the folder everything is kept in
#
# The compiler: rustup's own target where rustup can fetch it. Where it cannot within 20 s (closed networks),
# Debian's compiler is unpacked into a cache folder and std is compiled for wasm32 there, once. Nothing is
# installed in the system and root is not needed; apt must know the packages (`apt-get update`).
# The tools (worker-build, wasm-bindgen, wasm-opt, esbuild) are installed by cargo and npm in the same folder, in
# the versions that belong together; worker-build by itself would download them from elsewhere.
#
# ATL_WASM_TOOLCHAIN=debian   skips the ordinary way;  =rustup  never falls back
# ATL_CACHE                   the cache folder (default: $XDG_CACHE_HOME/atl, or ~/.cache/atl)
set -euo pipefail

readonly TARGET=wasm32-unknown-unknown
# worker-build 0.8.7 asks for exactly these two (src/versions.rs); it must go with the crate `worker` in Cargo.lock.
readonly WORKER_BUILD_VERSION=0.8.7
readonly BINARYEN_VERSION=132.0.0
readonly ESBUILD_VERSION=0.28.2

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${ATL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/atl}/wasm
debs=$cache/debs         # downloaded packages
root=$cache/root         # unpacked packages
bin=$cache/bin           # compiler wrappers, put first in PATH
tools=$cache/tools       # what cargo installs
npm=$cache/npm           # what npm installs
mode_file=$cache/mode    # `rustup` or `debian`, once decided
esbuild_platform=linux-$(uname -m | sed 's/x86_64/x64/; s/aarch64/arm64/')
case "$(uname -s)" in Darwin) esbuild_platform=darwin-$(uname -m | sed 's/x86_64/x64/') ;; esac
multiarch=$(dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null || echo "$(uname -m)-linux-gnu")

say() { echo "wasm-toolchain: $*" >&2; }
die() { say "$*"; exit 1; }
need() { command -v "$1" >/dev/null || die "\`$1\` is needed ($2)"; }

main() {
  case "${1:-install}" in
    install) install ;;
    env) print_env ;;
    path) echo "$cache" ;;
    *) die "unknown word \`$1\`: install, env or path" ;;
  esac
}

install() {
  need cargo "Rust, from https://rustup.rs"
  mkdir -p "$cache"
  # Two builds at once (wrangler dev beside a test run) must not unpack over each other.
  exec 9>"$cache/lock"
  if command -v flock >/dev/null; then flock 9; fi
  local mode
  mode=$(choose_mode)
  if [ "$mode" = debian ]; then
    unpack_debian
    write_wrappers
    build_std
  fi
  install_npm_tools
  cargo_install wasm-bindgen-cli "$(wasm_bindgen_version)" wasm-bindgen
  cargo_install worker-build "$WORKER_BUILD_VERSION" worker-build
  echo "$mode" >"$mode_file"
  say "ready ($mode)"
}

# Which way this machine can go. The first answer is kept, so that a closed network is asked once.
choose_mode() {
  local wish=${ATL_WASM_TOOLCHAIN:-}
  [ "$wish" = debian ] && { echo debian; return; }
  if rustup_has_target; then echo rustup; return; fi
  if [ "$wish" != rustup ] && [ "$(cat "$mode_file" 2>/dev/null)" = debian ]; then echo debian; return; fi
  if command -v rustup >/dev/null; then
    say "rustup target add $TARGET (at most 20 s)"
    if timeout 20 rustup target add "$TARGET" >&2 && rustup_has_target; then echo rustup; return; fi
  fi
  [ "$wish" = rustup ] && die "rustup could not add the target $TARGET"
  need apt-get "rustup could not add the target $TARGET, and only Debian has a fallback"
  say "rustup cannot fetch the target here; taking Debian's packages"
  echo debian
}

rustup_has_target() {
  local libdir
  libdir=$(rustc --print target-libdir --target "$TARGET" 2>/dev/null) || return 1
  compgen -G "$libdir/libcore-*.rlib" >/dev/null
}

# --- Debian's compiler -------------------------------------------------------------------------------------------

unpack_debian() {
  [ -e "$root/.unpacked" ] && return
  need dpkg "Debian's package tool"
  local packages
  packages=$(closure rustc-web cargo-web libstd-rust-web-dev rust-web-src "$(newest_lld)")
  say "downloading" $packages
  mkdir -p "$debs"
  (cd "$debs" && apt-get download -qq $packages 2> >(grep -v unsandboxed >&2)) || die "apt-get download failed; try \`apt-get update\` first"
  rm -rf "$root"
  mkdir -p "$root"
  local deb
  for deb in "$debs"/*.deb; do dpkg -x "$deb" "$root"; done
  rm -rf "$debs"
  touch "$root/.unpacked"
}

# The lld that belongs to the newest LLVM apt offers.
newest_lld() {
  local lld
  lld=$(apt-cache pkgnames lld- | grep -E '^lld-[0-9]+$' | sort -t- -k2 -n | tail -1)
  [ -n "$lld" ] || die "apt knows no package lld-N; try \`apt-get update\` first"
  echo "$lld"
}

# The packages named, and all libraries they depend on that this system does not have.
closure() {
  local todo=("$@") seen=" " package dependency
  while [ ${#todo[@]} -gt 0 ]; do
    package=${todo[0]}
    todo=("${todo[@]:1}")
    case "$seen" in *" $package "*) continue ;; esac
    seen="$seen$package "
    for dependency in $(apt-cache depends --important --no-conflicts --no-breaks --no-replaces "$package" 2>/dev/null |
      sed -n 's/^ *Depends: \(lib[^<>]*\)$/\1/p'); do
      dpkg-query -W -f '${Status}' "$dependency" 2>/dev/null | grep -q 'ok installed' || todo+=("$dependency")
    done
  done
  echo $seen
}

# Debian's programs look for their libraries in the system; these wrappers show them the unpacked ones.
write_wrappers() {
  local libraries=$root/usr/lib/$multiarch llvm program
  llvm=$(echo "$root"/usr/lib/llvm-*/bin/wasm-ld)
  [ -x "$llvm" ] || die "no wasm-ld in the unpacked packages"
  mkdir -p "$bin"
  for program in "$root/usr/bin/cargo" "$root/usr/bin/rustc" "$root/usr/bin/rustdoc" "$llvm"; do
    cat >"$bin/$(basename "$program")" <<WRAPPER
#!/bin/sh
export LD_LIBRARY_PATH="$libraries\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}"
exec "$program" "\$@"
WRAPPER
    chmod +x "$bin/$(basename "$program")"
  done
}

# Compiles std once and puts it where the compiler looks for it, so that plain `cargo build --target` works.
build_std() {
  local libdir=$root/usr/lib/rustlib/$TARGET/lib work=$cache/std
  compgen -G "$libdir/libstd-*.rlib" >/dev/null && return
  say "compiling std for $TARGET (once, some minutes)"
  rm -rf "$work"
  mkdir -p "$work/src" "$libdir"
  printf '[package]\nname = "stdstub"\nversion = "0.0.0"\nedition = "2021"\n[workspace]\n' >"$work/Cargo.toml"
  printf '#![no_std]\n' >"$work/src/lib.rs"
  # Bitcode stays in the libraries, because the worker is linked with LTO.
  (
    cd "$work"
    export PATH="$bin:$PATH" RUSTC_BOOTSTRAP=1 RUSTFLAGS="-C embed-bitcode=yes" CARGO_TARGET_DIR="$work/target"
    unset RUSTC RUSTC_WRAPPER CARGO_BUILD_TARGET RUSTUP_TOOLCHAIN
    nice -n 5 cargo build --quiet --release --target "$TARGET" -Z build-std=std,panic_abort >&2
  )
  find "$work/target/$TARGET/release" -name '*.rlib' ! -name '*stdstub*' -exec cp -f {} "$libdir/" \;
  compgen -G "$libdir/libstd-*.rlib" >/dev/null || die "std was compiled, but no libstd came out"
  rm -rf "$work"
}

# --- tools -------------------------------------------------------------------------------------------------------

install_npm_tools() {
  local stamp=$npm/.binaryen-$BINARYEN_VERSION-esbuild-$ESBUILD_VERSION
  [ -e "$stamp" ] && return
  need npm "Node.js 20 or newer"
  say "npm: binaryen $BINARYEN_VERSION, esbuild $ESBUILD_VERSION"
  rm -rf "$npm"
  mkdir -p "$npm"
  echo '{"private": true}' >"$npm/package.json"
  npm install --silent --no-fund --no-audit --prefix "$npm" \
    "binaryen@$BINARYEN_VERSION" "@esbuild/$esbuild_platform@$ESBUILD_VERSION" >&2
  touch "$stamp"
}

# wasm-bindgen's two halves must be of the same version: the library's is the one Cargo.lock names.
wasm_bindgen_version() {
  local version
  version=$(awk '$0 == "name = \"wasm-bindgen\"" { getline; gsub(/[^0-9.]/, ""); print; exit }' "$here/../Cargo.lock")
  [ -n "$version" ] || die "Cargo.lock names no wasm-bindgen"
  echo "$version"
}

# cargo_install CRATE VERSION PROGRAM: into a folder of its own by version, so that old checkouts keep theirs.
cargo_install() {
  local crate=$1 version=$2 program=$3
  local prefix=$tools/$crate-$version
  [ -x "$prefix/bin/$program" ] && return
  say "cargo install $crate $version (once, some minutes)"
  (
    # Out of the checkout: its Cargo settings are not for tools. Built by the system's own compiler, lightly
    # optimised: the tools run for a second, they need not be fast.
    mkdir -p "$tools"
    cd "$tools"
    unset CARGO_BUILD_TARGET CARGO_TARGET_DIR RUSTFLAGS
    [ "$crate" = worker-build ] && provide_openssl
    CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_LTO=off \
      nice -n 5 cargo install --quiet --root "$prefix" --version "=$version" "$crate" >&2
  )
}

# worker-build links OpenSSL. Where its headers are not installed, Debian's package is unpacked beside the rest.
provide_openssl() {
  command -v pkg-config >/dev/null && pkg-config --exists openssl && return
  [ -e /usr/include/openssl/ssl.h ] && return
  command -v apt-get >/dev/null || return 0
  local dir=$cache/openssl
  if [ ! -e "$dir/usr/include/openssl/ssl.h" ]; then
    say "downloading libssl-dev"
    mkdir -p "$dir"
    (cd "$dir" && apt-get download -qq libssl-dev 2>/dev/null && dpkg -x libssl-dev_*.deb . && rm libssl-dev_*.deb) || return 0
    cp -r "$dir/usr/include/$multiarch/openssl/." "$dir/usr/include/openssl/"
  fi
  export OPENSSL_STATIC=1 OPENSSL_LIB_DIR="$dir/usr/lib/$multiarch" OPENSSL_INCLUDE_DIR="$dir/usr/include" OPENSSL_NO_PKG_CONFIG=1
}

# --- env ---------------------------------------------------------------------------------------------------------

print_env() {
  local mode path
  mode=$(cat "$mode_file" 2>/dev/null) || die "not there yet: run infra/wasm-toolchain.sh first"
  path=$tools/worker-build-$WORKER_BUILD_VERSION/bin
  if [ "$mode" = debian ]; then
    path=$bin:$path
    echo "export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER='$bin/wasm-ld'"
    echo "unset RUSTC RUSTUP_TOOLCHAIN"
  fi
  echo "export WASM_BINDGEN_BIN='$tools/wasm-bindgen-cli-$(wasm_bindgen_version)/bin/wasm-bindgen'"
  echo "export WASM_OPT_BIN='$npm/node_modules/binaryen/bin/wasm-opt'"
  echo "export ESBUILD_BIN='$npm/node_modules/@esbuild/$esbuild_platform/bin/esbuild'"
  echo "export PATH='$path':\"\$PATH\""
}

main "$@"
exit
