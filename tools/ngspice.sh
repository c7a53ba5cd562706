#!/usr/bin/env bash
# Installs ngspice and its library where they are missing and apt-get can be used; else says what to install.
set -euo pipefail
have_library() {
    ldconfig -p 2>/dev/null | grep -q 'libngspice\.so' || ls /usr/lib/*/libngspice.so* /usr/local/lib/libngspice* >/dev/null 2>&1
}
if command -v ngspice >/dev/null 2>&1 && have_library; then
    exit 0
fi
packages="ngspice libngspice0-dev"
if command -v apt-get >/dev/null 2>&1; then
    sudo=""
    if [ "$(id -u)" -ne 0 ]; then
        sudo="sudo -n"
    fi
    echo "installing $packages"
    if { $sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq $packages; } >/dev/null; then
        exit 0
    fi
fi
if command -v ngspice >/dev/null 2>&1; then
    echo "the library of ngspice is missing; cosim uses the program. For the faster engine: apt-get install libngspice0-dev" >&2
    exit 0
fi
echo "cosim validates against ngspice, which is not on this machine and could not be installed." >&2
echo "Install it and call make again: on Debian or Ubuntu 'sudo apt-get install $packages'," >&2
echo "on Fedora 'sudo dnf install ngspice libngspice', on macOS 'brew install ngspice libngspice'." >&2
exit 1
