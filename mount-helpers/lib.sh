# shellcheck shell=bash
# What the scripts in this directory share. Sourced, never run.

# The package's root directory.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Swift's crash handler may linger in a process that should be gone.
export SWIFT_BACKTRACE=enable=no

say() {
    printf '\n== %s\n' "$*"
}

die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# Package names of the given sections of mount-helpers/packages.
packages_of() {
    local section wanted=" $* " line in_section=false
    while read -r line; do
        case $line in
        '' | '#'*) ;;
        '['*']')
            section=${line//[\[\]]/}
            if [[ $wanted == *" $section "* ]]; then in_section=true; else in_section=false; fi
            ;;
        *) if $in_section; then printf '%s\n' "$line"; fi ;;
        esac
    done <"$root/mount-helpers/packages"
}

is_installed() {
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

# Installs what is missing of the given sections; says what to do where it may not.
install_packages() {
    local name missing=()
    command -v dpkg-query >/dev/null ||
        die "this is not Debian or Ubuntu; install the equivalents of: $(packages_of "$@" | tr '\n' ' ')"
    while read -r name; do
        is_installed "$name" || missing+=("$name")
    done < <(packages_of "$@")
    ((${#missing[@]} > 0)) || return 0
    if ((EUID != 0)); then
        die "missing packages; run:  sudo apt-get install --no-install-recommends ${missing[*]}"
    fi
    say "Installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    local apt=(apt-get -q -o DPkg::Lock::Timeout=120 -o Acquire::Retries=3)
    timeout -k 30 180 "${apt[@]}" update </dev/null || echo "apt-get update failed; trying with the lists at hand" >&2
    local status=0
    forbid_services
    timeout -k 30 600 "${apt[@]}" install -y --no-install-recommends "${missing[@]}" </dev/null || status=$?
    if $made_policy; then rm -f "$policy"; fi
    ((status == 0)) || die "could not install ${missing[*]}"
}

# Packages with servers start them at once, unless this says no (invoke-rc.d(8)). What the administrator has stays.
policy=/usr/sbin/policy-rc.d
made_policy=false
forbid_services() {
    [[ ! -e $policy && ! -L $policy ]] || return 0
    made_policy=true
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
}

# Puts swift into PATH, or says that there is none.
require_swift() {
    local directory
    for directory in /opt/swift/usr/bin /usr/local/swift/usr/bin "$HOME/.local/share/swiftly/bin"; do
        command -v swift >/dev/null && break
        if [[ -x $directory/swift ]]; then PATH=$directory:$PATH; fi
    done
    command -v swift >/dev/null ||
        die "no Swift toolchain in PATH or /opt/swift/usr/bin; get 6.2 or later from https://www.swift.org/install/linux/"
    local version
    version=$(timeout 60 swift --version 2>&1 | sed -n 's/.*Swift version \([0-9]*\.[0-9]*\).*/\1/p' | head -n 1)
    [[ -n $version ]] || die "swift --version says nothing sensible; the toolchain is broken: $(command -v swift)"
    printf '%s\n6.2\n' "$version" | sort -C -V -r || die "Swift $version is too old; 6.2 or later is needed"
}

# Says what keeps this user from mounting.
require_fuse() {
    [[ -e /dev/fuse ]] ||
        die "no /dev/fuse: load the kernel's fuse module (modprobe fuse), or give the container the device (--device /dev/fuse)"
    [[ -r /dev/fuse && -w /dev/fuse ]] || die "no permission to use /dev/fuse: $(ls -l /dev/fuse)"
    if ((EUID != 0)); then
        command -v fusermount3 >/dev/null || die "mounting as an ordinary user needs fusermount3 (package fuse3)"
        [[ -u $(command -v fusermount3) ]] || die "fusermount3 is not set-user-id root, so only root can mount"
    fi
}

# Whether a directory is a mount point of ours.
is_mounted() {
    local directory=${1// /\\040}
    grep -qE "^[^ ]+ ${directory//./\\.} fuse(\.sessionfs)? " /proc/self/mounts
}
