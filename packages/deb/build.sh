#!/usr/bin/env bash
# build.sh WHEEL PYTHON ARCH FOLDER: make the Debian package of a wheel, for one release of Python (3.11 is Debian 12's,
# 3.12 Ubuntu 24.04's, 3.13 Debian 13's, 3.14 Debian sid's) and one machine (amd64, arm64). Needs uv and nfpm; nothing is compiled, so any
# machine can build all of them.
set -euo pipefail
wheel=$(realpath "$1") python=$2 arch=$3 output=$(realpath "$4")
cd "$(dirname "$0")/../.."
case $arch in
  amd64) platform=x86_64-manylinux_2_28 ;;
  arm64) platform=aarch64-manylinux_2_28 ;;
  *) echo "unknown machine $arch: amd64 or arm64" >&2; exit 2 ;;
esac
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
uv pip install --quiet --target "$work/tree" --python-version "$python" --python-platform "$platform" --only-binary :all: \
  --constraint constraints.txt "airflow-metrics-exporter[speed,regex,celery,database] @ file://$wheel"
rm -rf "$work/tree/bin" "$work/tree/.lock"
find "$work/tree" -name __pycache__ -type d -prune -exec rm -rf {} +
version=$(basename "$wheel" | cut -d- -f2)
export DEB_ARCH=$arch DEB_VERSION=$version+py$python DEB_TREE=$work/tree DEB_PYTHON=$python
export DEB_PYTHON_NEXT=${python%.*}.$((${python#*.} + 1)) DEB_MAINTAINER=${DEB_MAINTAINER:-unset <root@localhost>}
# GitHub renames files with signs such as `+`, and then SHA256SUMS would name others.
nfpm package --config packages/deb/nfpm.yaml --packager deb \
  --target "$output/airflow-metrics-exporter_${version}_py${python}_$arch.deb"
