#!/usr/bin/env bash
# Checks the Rust code of the feature `cuda` on a machine without a GPU, or builds it there for one that has a GPU.
#
#   benches/gpu/check_build.sh                    types and lints, no toolkit needed: a stand-in answers for nvcc
#   benches/gpu/check_build.sh --toolkit FOLDER   the same with NVIDIA's compiler from its Python wheels, put into FOLDER; compiles every
#                                                 kernel, which takes about 15 minutes of a core, once
#   benches/gpu/check_build.sh --toolkit FOLDER --link TARGET
#                                                 builds the two programs that check.sh runs, in release, and packs them into TARGET
#
# PYTHON (python3) needs pip for --toolkit. CUDA_VERSION (13.0) must not be newer than what the driver of the GPU knows: it compiles the
# kernels' intermediate code. CUDA_COMPUTE_CAP (90, Hopper) names the GPU.
set -euo pipefail
cd "$(dirname "$0")/../.."

toolkit='' link=''
while [ $# -gt 0 ]; do
  case "$1" in
    --toolkit) toolkit=$2; shift 2 ;;
    --link) link=$2; shift 2 ;;
    *) echo "unknown option $1; see the head of $0" >&2; exit 2 ;;
  esac
done
if [ -n "$link" ] && [ -z "$toolkit" ]; then
  echo "--link needs --toolkit FOLDER" >&2
  exit 2
fi
version=${CUDA_VERSION:-13.0}
export CUDA_COMPUTE_CAP=${CUDA_COMPUTE_CAP:-90}

# What answers `nvcc --version` and makes empty files is enough where nothing is linked or run.
stand_in() {
  mkdir -p "$1/bin" "$1/include" "$1/lib64"
  cat >"$1/bin/nvcc" <<STAND_IN
#!/usr/bin/env bash
set -e
out='' folder='' last=''
while [ \$# -gt 0 ]; do
  case "\$1" in
    --version) printf 'nvcc: a stand-in\n\n\nCuda compilation tools, release $version, V$version.0\n'; exit ;;
    -o) out=\$2; shift ;;
    --output-directory) folder=\$2; shift ;;
    *) last=\$1 ;;
  esac
  shift
done
if [ -n "\$out" ]; then : >"\$out"; fi
if [ -n "\$folder" ]; then name=\${last##*/}; : >"\$folder/\${name%.cu}.ptx"; fi
STAND_IN
  chmod +x "$1/bin/nvcc"
}

# The compiler, headers and libraries; the wheels name libraries by version alone, and the linker wants them without. libcuda comes
# with a driver: an empty one stands for it while linking.
from_wheels() {
  local home=$1/nvidia/cu${version%%.*}
  if [ ! -x "$home/bin/nvcc" ]; then
    local nvcc
    nvcc=$("${PYTHON:-python3}" -m pip download --no-deps -q -d "$1/wheels" "nvidia-cuda-nvcc==$version.*" >&2 &&
      basename "$1"/wheels/nvidia_cuda_nvcc-* | cut -d- -f2)
    "${PYTHON:-python3}" -m pip install --no-deps -q --target "$1" "$1"/wheels/*.whl "nvidia-cuda-crt==$nvcc" "nvidia-nvvm==$nvcc" \
      "nvidia-cuda-runtime==$version.*" "nvidia-cuda-cccl==$version.*" >&2
    rm -r "$1/wheels"
  fi
  if [ -n "$link" ] && [ ! -e "$home/lib/libcuda.so" ]; then
    "${PYTHON:-python3}" -m pip install --no-deps -q --target "$1/libraries" "nvidia-cuda-nvrtc==$version.*" \
      'nvidia-cublas>=13.0,<13.2' 'nvidia-curand>=10.4,<10.5' >&2
    cp -rn "$1/libraries/nvidia/cu${version%%.*}/." "$home/" && rm -r "$1/libraries"
    local library
    for library in "$home"/lib/lib*.so.*; do ln -sf "$(basename "$library")" "${library%.so.*}.so"; done
    echo | cc -shared -Wl,-soname,libcuda.so.1 -x c - -o "$home/lib/libcuda.so"
  fi
  printf '%s' "$home"
}

if [ -z "$toolkit" ]; then
  home=$(mktemp -d)
  trap 'rm -r "$home"' EXIT
  stand_in "$home"
else
  mkdir -p "$toolkit"
  toolkit=$(cd "$toolkit" && pwd)
  home=$(from_wheels "$toolkit")
fi
export CUDA_HOME=$home CUDA_PATH=$home PATH="$home/bin:$PATH"
nvcc --version | tail -n 2

if [ -z "$link" ]; then
  # A stand-in's empty kernels must not be taken for real ones later.
  if [ -z "$toolkit" ]; then export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/no-kernels; fi
  cargo clippy --locked --features cuda -p loupe-models -p loupe -- -D warnings
  exit
fi
export RUSTFLAGS="${RUSTFLAGS:-} -L native=$home/lib -C link-arg=-Wl,--unresolved-symbols=ignore-all"
profile=${PROFILE:-release}
cargo build --locked --profile "$profile" --features cuda -p loupe-models --example decode_speed --example throughput
folder=${CARGO_TARGET_DIR:-target}/${profile/#dev/debug}/examples
mkdir -p "$link"
for program in decode_speed throughput; do
  strip -o "$link/$program" "$folder/$program"
  xz -f "$link/$program"
done
du -h "$link"/*
