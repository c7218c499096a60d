# The steps of tests/run, one function each, in the order they run. Sourced by tests/run, from the top of the checkout.
#
# A step takes the tools' places from the environment (ATL_BIN, ATL_MINIO, …), prints what it does, and fails by its exit code.
# One profile (`--release`) and one package selection for every cargo call, so that the big dependencies are compiled once.

readonly PACKAGES=(--workspace --exclude edge-worker)

target_dir() { printf '%s' "${CARGO_TARGET_DIR:-$PWD/target}"; }

describe() {
  case "$1" in
    debian) echo "Debian packages: compilers' libraries, chromium, nginx, node_exporter" ;;
    format) echo "rustfmt" ;;
    build) echo "the web UI, atl and every test, once, optimised" ;;
    lint) echo "clippy, warnings are errors" ;;
    deny) echo "licences, sources, advisories, and which crate may name which" ;;
    unit) echo "unit and property tests of every crate" ;;
    promql) echo "PromQL conformance scripts from outside the checkout, where they are" ;;
    ui) echo "type check and unit tests of the web UI" ;;
    edge) echo "edge worker to wasm, then in workerd" ;;
    e2e) echo "the real binary with MinIO, moto, node_exporter, nginx, workerd, DuckDB and Sail" ;;
    browser) echo "the web UI in headless Chromium against the real binary" ;;
    fuzz) echo "the fuzz targets with coverage instrumentation" ;;
    readme) echo "the commands of the README, as a newcomer types them" ;;
  esac
}

step_debian() { setup_debian; }

step_format() { cargo fmt --all --check; }

step_build() { cargo build --release --locked "${PACKAGES[@]}" --all-targets; }

step_lint() { cargo clippy --release --locked "${PACKAGES[@]}" --all-targets -- -D warnings; }

# Licences, bans and sources need nothing from outside. The advisory database is a git repository; where it cannot be fetched,
# that is said, and is an error when ATL_REQUIRE_ADVISORIES=1.
step_deny() {
  local deny="$ATL_CACHE/tools/cargo-deny-$CARGO_DENY_VERSION/bin/cargo-deny"
  [ -x "$deny" ] || deny="$(command -v cargo-deny)"
  "$deny" --all-features check bans licenses sources
  if timeout 120 "$deny" fetch db; then
    "$deny" --all-features check --disable-fetch advisories
  elif [ "${ATL_REQUIRE_ADVISORIES:-0}" = 1 ]; then
    echo "the advisory database cannot be fetched, and ATL_REQUIRE_ADVISORIES=1"
    return 1
  else
    echo "!!! advisories were NOT checked: the advisory database cannot be fetched from this machine !!!"
  fi
}

step_unit() {
  cargo test --release --locked "${PACKAGES[@]}" --exclude tests
  cargo test --release --locked "${PACKAGES[@]}" --test layers --test mutations
}

# Each fuzz target for ATL_FUZZ_SECONDS, or four minutes, from its seeds and what earlier runs have found; one that breaks does
# not keep the others from running. An input that breaks a target belongs into its seeds once the fault is mended.
step_fuzz() {
  local fuzz="$ATL_CACHE/tools/cargo-fuzz-$CARGO_FUZZ_VERSION/bin/cargo-fuzz" seconds="${ATL_FUZZ_SECONDS:-240}" target
  local broken=()
  command -v g++ >/dev/null || { apt_get update && apt_get install -y --no-install-recommends g++; }
  # The versions of the product's lock file; what only the fuzzers need is added.
  cp Cargo.lock tests/fuzz/Cargo.lock
  # Coverage instrumentation is in the stable compiler, behind this switch.
  export RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR="$ATL_CACHE/fuzz-target"
  "$fuzz" build --fuzz-dir tests/fuzz --sanitizer none
  for target in $("$fuzz" list --fuzz-dir tests/fuzz); do
    mkdir -p "$ATL_CACHE/fuzz-corpus/$target"
    echo "fuzzing $target for $seconds s"
    "$fuzz" run --fuzz-dir tests/fuzz --sanitizer none "$target" "$ATL_CACHE/fuzz-corpus/$target" "tests/fuzz/seeds/$target" -- \
      -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -malloc_limit_mb=512 -max_len=65536 -print_final_stats=1 ||
      broken+=("$target")
  done
  [ ${#broken[@]} = 0 ] || { echo "broken: ${broken[*]}; the inputs lie in tests/fuzz/artifacts"; return 1; }
}

step_promql() {
  local folder="${ATL_PROMQLTEST:-../shared/promqltest}"
  if [ ! -d "$folder" ]; then
    echo "no folder $folder (ATL_PROMQLTEST names another): only the project's own scripts were run, by the step unit"
    return 0
  fi
  "$ATL_BIN" test promql "$folder"/*.test
}

step_ui() {
  install_node_modules dashboards/ui
  cd dashboards/ui
  npm run check
  npm run test
}

step_edge() {
  build_edge_worker
  cd edge-worker
  npm test
}

step_e2e() {
  build_edge_worker
  cargo test --release --locked "${PACKAGES[@]}" --test e2e
}

# Once against the mock, which has every case, and once against the real server, which has the truth.
step_browser() {
  install_node_modules dashboards/ui
  export CHROMIUM="${CHROMIUM:-$ATL_CHROMIUM}"
  (cd dashboards/ui && npm run build && npm run test:browser)
  with_server test_browser_against
}

test_browser_against() { (cd dashboards/ui && BASE_URL="$1" npm run test:browser); }

step_readme() { tests/readme.py; }

# The lock file's packages, once a checkout.
install_node_modules() {
  [ "$1/node_modules/.package-lock.json" -nt "$1/package-lock.json" ] || (cd "$1" && npm ci --no-audit --no-fund)
}

build_edge_worker() {
  install_node_modules edge-worker
  edge-worker/build.sh
}

# Runs `"$@" ADDRESS` while a fresh server runs, which ends with it.
with_server() {
  local folder pid address="" status=0
  folder="$(mktemp -d)"
  "$ATL_BIN" serve --listen 127.0.0.1:0 --data-dir "$folder/data" 2>"$folder/log" &
  pid=$!
  for _ in $(seq 300); do
    address="$(sed -n 's|.*is up: \(http://[^/]*\)/.*|\1|p' "$folder/log")"
    [ -z "$address" ] || break
    sleep 0.1
  done
  # Some scrapes, so that charts have lines.
  sleep 30
  if [ -n "$address" ]; then "$@" "$address" || status=$?; else cat "$folder/log"; status=1; fi
  kill "$pid" 2>/dev/null || true
  wait "$pid" || true
  rm -rf "$folder"
  return "$status"
}
