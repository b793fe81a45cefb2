#!/usr/bin/env bash
# build.sh FOLDER: everything that a release consists of but the image: sdist, wheel, Debian packages, an SBOM of the wheel
# with all extras (CycloneDX), the bundle, and checksums. Needs the programs of tools.txt in PATH. DEB_PYTHONS and DEB_ARCHS
# choose the Debian packages.
set -euo pipefail
mkdir -p "$1"
output=$(realpath "$1")
cd "$(dirname "$0")/.."
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
uv build --quiet --out-dir "$output" .
rm -f "$output/.gitignore"
wheels=("$output"/*.whl)
if [ "${#wheels[@]}" -ne 1 ]; then
  echo "$output has wheels of other builds: give an empty folder" >&2
  exit 1
fi
wheel=${wheels[0]}
version=$(basename "$wheel" | cut -d- -f2)

for python in ${DEB_PYTHONS:-3.11 3.12 3.13 3.14}; do
  for arch in ${DEB_ARCHS:-amd64 arm64}; do packages/deb/build.sh "$wheel" "$python" "$arch" "$output"; done
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
uv venv --quiet "$work/environment"
uv pip install --quiet --python "$work/environment/bin/python" --constraint constraints.txt \
  "airflow-metrics-exporter[speed,regex,celery,database,advise] @ file://$wheel"
cyclonedx-py environment --spec-version 1.6 --output-format JSON --output-reproducible \
  --output-file "$output/airflow-metrics-exporter-$version.cdx.json" "$work/environment/bin/python"
"$work/environment/bin/airflow-exporter" bundle --output="$work/airflow-exporter-bundle-$version"
tar --create --gzip --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" \
  --directory="$work" --file="$output/airflow-exporter-bundle-$version.tar.gz" "airflow-exporter-bundle-$version"

cd "$output"
find . -maxdepth 1 -type f ! -name SHA256SUMS -printf '%f\n' | sort | xargs sha256sum >SHA256SUMS
