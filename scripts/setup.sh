# Sourced by scripts/run and scripts/test: sets up .venv once and leaves it alone after that.
#
#   setup_venv run   what the gateway needs
#   setup_venv dev   that, and what the tests need
#
# Everything is said on standard error, so that `scripts/run status --json` stays one JSON document.

say() { printf 'openclaw-actors: %s\n' "$*" >&2; }

find_python() {
    for candidate in python3.13 python3.12 python3.11 python3; do
        if path=$(command -v "$candidate" 2>/dev/null) &&
            "$path" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s\n' "$path"
            return 0
        fi
    done
    return 1
}

# What the environment was made from; a change of any of it means: install again.
fingerprint() {
    { cat "$root/setup.cfg" "$root/pyproject.toml"; printf '%s\n' "$root"; readlink -f "$root/.venv/bin/python"; } |
        sha256sum | cut -d ' ' -f 1
}

is_set_up() {
    [ -x "$root/.venv/bin/python" ] || return 1
    now=$(fingerprint)
    for kind in "$1" dev; do
        [ "$(cat "$root/.venv/.stamp-$kind" 2>/dev/null)" = "$now" ] && return 0
    done
    return 1
}

make_venv() {
    if ! python=$(find_python); then
        say 'Python 3.11 or later with venv is missing; on Debian: apt-get install python3 python3-venv'
        exit 1
    fi
    say 'setting up .venv, once'
    # A directory that was moved, or whose Python is gone, does not work any more: begin anew.
    if ! "$root/.venv/bin/python" -c 'import pip' 2>/dev/null ||
        ! grep -qF "$root/.venv" "$root/.venv/bin/activate" 2>/dev/null; then
        "$python" -m venv --clear "$root/.venv" >&2 || { say 'could not make .venv'; exit 1; }
    fi
}

install_into_venv() {
    case $1 in
        dev) what="$root[dev]" ;;
        *) what=$root ;;
    esac
    rm -f "$root/.venv/.stamp-run" "$root/.venv/.stamp-dev"
    log=$root/.venv/setup.log
    if ! "$root/.venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable "$what" >"$log" 2>&1; then
        tail -n 5 "$log" >&2
        say "could not install the packages; the whole story is in $log"
        exit 1
    fi
    fingerprint >"$root/.venv/.stamp-$1"
}

setup_venv() {
    if is_set_up "$1"; then return 0; fi
    # One at a time: the lock is on a file of its own, since .venv may be made anew.
    exec 9>"$root/.venv.lock"
    flock 9
    if ! is_set_up "$1"; then
        make_venv
        install_into_venv "$1"
    fi
    exec 9>&-
}
