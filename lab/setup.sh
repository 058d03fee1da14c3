#!/bin/sh
# Install the Debian packages that are named and missing: lab/setup.sh mmdebstrap sip-tester sox espeak-ng chromium
# As root it installs them; otherwise it names the first one missing and exits 2. With nothing missing it does nothing.
set -eu

missing=""
for package in "$@"; do
    state=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "lab/setup.sh: missing:$missing, and there is no apt-get here: install them with this system's own packages" >&2
    exit 2
fi
if [ "$(id -u)" -ne 0 ]; then
    first=${missing# }
    echo "lab/setup.sh: the package ${first%% *} is missing: run as root, or: sudo apt-get install$missing" >&2
    exit 2
fi

echo "installing:$missing" >&2
export DEBIAN_FRONTEND=noninteractive
install_missing() {
    # shellcheck disable=SC2086  # one word for each package
    apt-get install --yes --quiet --no-install-recommends $missing >/dev/null
}
# The lists may be absent (a bare image) or old (404): then they are fetched, and it is tried once more.
if ! install_missing 2>/dev/null; then
    apt-get update --quiet >/dev/null
    if ! install_missing; then
        echo "lab/setup.sh: apt-get could not install:$missing" >&2
        exit 2
    fi
fi
