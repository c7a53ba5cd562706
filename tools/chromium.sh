#!/usr/bin/env bash
# Installs headless Chromium, which the tests of the report page need, where it is missing and apt-get can be used.
set -euo pipefail
for name in chromium-headless-shell chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null 2>&1; then
        exit 0
    fi
done
package="chromium-headless-shell"
if command -v apt-get >/dev/null 2>&1; then
    sudo=""
    if [ "$(id -u)" -ne 0 ]; then
        sudo="sudo -n"
    fi
    echo "installing $package"
    if { $sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $package; } >/dev/null; then
        exit 0
    fi
fi
echo "The tests of the report page need Chromium, which is not on this machine and could not be installed: they will FAIL." >&2
echo "Install it (on Debian 'apt-get install $package'), or set COSIM_BROWSER=none to leave these tests out." >&2
