# Installs what the tests need, into a cache outside the checkout. Sourced by tests/run.
#
# Takes: ATL_CACHE (a folder). Gives: one function `setup_NAME` for each tool, every one idempotent and quick when its work is
# done, and `tool_environment`, which prints the variables the tests read. Knows nothing of the tests themselves.
# Daemons are unpacked, not installed, so that nothing starts by itself and nothing on the machine is replaced.

readonly MINIO_MODULE="github.com/minio/minio"
# The last commit of the archived project; the same version as infra/minio.Dockerfile.
readonly MINIO_VERSION="v0.0.0-20260212201848-7aac2a2c5b7c"
readonly CARGO_DENY_VERSION="0.20.2"
readonly CARGO_FUZZ_VERSION="0.13.2"
readonly DEBIAN_INSTALLED=(ca-certificates chromium curl gcc libc6-dev libssl-dev make openssl pkg-config procps python3 python3-venv)
readonly DEBIAN_UNPACKED=(nginx prometheus-node-exporter prometheus)
readonly PYTHON_PACKAGES=(
  duckdb==1.5.5 duckdb-extensions==1.5.5 duckdb-extension-delta==1.5.5 duckdb-extension-httpfs==1.5.5
  pyarrow==26.0.1 pysail==0.7.2 pyspark-client==4.0.4
)
readonly MOTO_PACKAGES=('moto[server]==5.*')

tools_dir() { printf '%s/tools' "$ATL_CACHE"; }

# Runs a command as root, where that can be done without asking for a password.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# apt-get with a bounded wait for another process's lock, and one more try after a moment when the mirror hiccups.
apt_get() {
  local try
  for try in 1 2 3; do
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@" && return 0
    echo "apt-get $1 failed (try $try of 3)" >&2
    sleep 5
  done
  return 1
}

# Debian packages that other steps build with or start by hand. A policy file keeps daemons of dependencies from starting.
setup_debian() {
  local missing=() name
  command -v apt-get >/dev/null || { echo "no apt-get here: taking compilers, chromium, nginx and node_exporter from PATH"; return 0; }
  for name in "${DEBIAN_INSTALLED[@]}"; do
    dpkg-query -W -f='${Status}' "$name" 2>/dev/null | grep -q 'ok installed' || missing+=("$name")
  done
  # A fresh machine has no package lists; later steps look packages up too.
  [ -n "$(find /var/lib/apt/lists -name '*Packages*' -print -quit 2>/dev/null)" ] || apt_get update
  if [ ${#missing[@]} -gt 0 ]; then
    echo "installing Debian packages: ${missing[*]}"
    apt_get update
    apt_get install -y --no-install-recommends "${missing[@]}"
  fi
  setup_unpacked_debian
}

# Daemons from Debian, unpacked in the cache: their binaries run from there, and no service is installed.
setup_unpacked_debian() {
  local root done_mark work
  root="$(tools_dir)/debian"
  done_mark="$root/.unpacked-$(printf '%s-' "${DEBIAN_UNPACKED[@]}")"
  [ ! -e "$done_mark" ] || return 0
  work="$(mktemp -d)"
  mkdir -p "$root"
  echo "unpacking Debian packages: ${DEBIAN_UNPACKED[*]}"
  chmod 755 "$work"
  (cd "$work" && { apt-get -q download "${DEBIAN_UNPACKED[@]}" || { apt_get update && apt-get -q download "${DEBIAN_UNPACKED[@]}"; }; })
  local package
  for package in "$work"/*.deb; do dpkg -x "$package" "$root"; done
  rm -rf "$work"
  touch "$done_mark"
}

# A real S3 server: MinIO from PATH, else built from its last source with Go. Where neither is there, that is said loudly, and
# the second server alone takes all S3 tests.
setup_s3() {
  local tools
  tools="$(tools_dir)"
  if command -v minio >/dev/null; then
    echo "S3 server: minio from PATH ($(command -v minio))"
  elif [ -x "$tools/bin/minio-$MINIO_VERSION" ]; then
    echo "S3 server: minio, built earlier"
  elif command -v go >/dev/null; then
    echo "S3 server: building minio $MINIO_VERSION with $(go version)"
    mkdir -p "$tools/bin"
    local gobin
    gobin="$(mktemp -d)"
    GOBIN="$gobin" GOFLAGS=-trimpath CGO_ENABLED=0 go install -ldflags='-s -w' "$MINIO_MODULE@$MINIO_VERSION"
    mv "$gobin/minio" "$tools/bin/minio-$MINIO_VERSION"
    rmdir "$gobin"
  else
    echo "!!! neither minio nor Go is here: the S3 tests run against moto (PyPI) only, which honours conditional writes but is not MinIO !!!"
  fi
}

# A second S3 server, of other people's making, so that no test rests on what MinIO happens to do.
setup_moto() { python_venv "$(tools_dir)/moto" "${MOTO_PACKAGES[@]}"; }

# Readers of our tables that are not us: DuckDB with its delta extension, and Sail (Spark Connect).
setup_python() { python_venv "$(tools_dir)/venv" "${PYTHON_PACKAGES[@]}"; }

# A virtual environment in the folder $1 with the packages that follow, made again when they change.
python_venv() {
  local venv="$1" wanted
  shift
  wanted="$(printf '%s\n' "$@")"
  [ "$(cat "$venv/.installed" 2>/dev/null)" != "$wanted" ] || return 0
  echo "installing Python packages: $*"
  python3 -m venv "$venv"
  "$venv/bin/pip" install -q --disable-pip-version-check "$@"
  printf '%s\n' "$wanted" >"$venv/.installed"
}

# cargo-deny from PATH, else compiled once.
setup_cargo_deny() {
  local root
  root="$(tools_dir)/cargo-deny-$CARGO_DENY_VERSION"
  if cargo deny --version >/dev/null 2>&1 || [ -x "$root/bin/cargo-deny" ]; then return 0; fi
  echo "building cargo-deny $CARGO_DENY_VERSION"
  # It runs for seconds: compiled for a quick build, not for speed.
  CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
    CARGO_TARGET_DIR="$root/target" cargo install cargo-deny --version "$CARGO_DENY_VERSION" --locked --root "$root"
  rm -rf "$root/target"
}

# cargo-fuzz, compiled once.
setup_cargo_fuzz() {
  local root
  root="$(tools_dir)/cargo-fuzz-$CARGO_FUZZ_VERSION"
  [ ! -x "$root/bin/cargo-fuzz" ] || return 0
  echo "building cargo-fuzz $CARGO_FUZZ_VERSION"
  CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
    CARGO_TARGET_DIR="$root/target" cargo install cargo-fuzz --version "$CARGO_FUZZ_VERSION" --locked --root "$root"
  rm -rf "$root/target"
}

# The edge worker's compiler and tools; its own script knows how.
setup_wasm() { infra/wasm-toolchain.sh; }

# The first of: a program of this name on PATH, the file given.
program() {
  command -v "$1" 2>/dev/null || { [ ! -x "$2" ] || printf '%s\n' "$2"; }
}

# Prints `NAME=value` lines: where each tool is. A tool that is not here has no line, and the test that needs it says how to get it.
tool_environment() {
  local tools debian
  tools="$(tools_dir)"
  debian="$tools/debian"
  local -A found=(
    [ATL_MINIO]="$(program minio "$tools/bin/minio-$MINIO_VERSION")"
    [ATL_MOTO]="$(program '' "$tools/moto/bin/moto_server")"
    [ATL_NODE_EXPORTER]="$(program prometheus-node-exporter "$debian/usr/bin/prometheus-node-exporter")"
    [ATL_NGINX]="$(program nginx "$debian/usr/sbin/nginx")"
    [ATL_PROMETHEUS]="$(program prometheus "$debian/usr/bin/prometheus")"
    [ATL_CHROMIUM]="$(program chromium /usr/bin/chromium)"
    [ATL_PYTHON]="$(program '' "$tools/venv/bin/python")"
    [ATL_SAIL]="$(program '' "$tools/venv/bin/sail")"
  )
  local name
  for name in "${!found[@]}"; do
    [ -z "${found[$name]}" ] || printf '%s=%s\n' "$name" "${found[$name]}"
  done | sort
}
