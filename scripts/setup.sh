# Sourced by scripts/run and scripts/test: sets up .venv once and leaves it alone after that.
#
#   setup_venv run   what the gateway needs
#   setup_venv dev   that, and what the tests need
#
# Everything is said on standard error, so that `scripts/run status --json` stays one JSON document.

need='Python 3.11 or later with venv'

say() { printf 'openclaw-actors: %s\n' "$*" >&2; }

fail() {
    say "$@"
    exit 1
}

last_line() { printf '%s\n' "$1" | grep -v '^ *$' | tail -n 1; }

# Prints the Python to use; or, with status 1, what is missing.
find_python() {
    missing="$need is missing; on Debian: apt-get install python3 python3-venv" bare=
    for candidate in python3.13 python3.12 python3.11 python3; do
        path=$(command -v "$candidate" 2>/dev/null) || continue
        version=$("$path" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
        case $version in
            3.[0-9] | 3.10 | [012].*)
                missing="$need is missing, $path is only $version; on Debian 12 or later: apt-get install python3 python3-venv"
                continue
                ;;
        esac
        # Debian ships venv without what it needs to put pip into an environment.
        if "$path" -c 'import venv, ensurepip' 2>/dev/null; then
            printf '%s\n' "$path"
            return 0
        fi
        bare="$need is missing, $path has no venv; on Debian: apt-get install $candidate-venv"
    done
    printf '%s\n' "${bare:-$missing}"
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
    python=$(find_python) || fail "$python"
    say 'setting up .venv, once'
    # A directory that was moved, or whose Python is gone, does not work any more: begin anew.
    if ! "$root/.venv/bin/python" -c 'import pip' 2>/dev/null ||
        ! grep -qF "$root/.venv" "$root/.venv/bin/activate" 2>/dev/null; then
        why=$("$python" -m venv --clear "$root/.venv" 2>&1) ||
            fail "could not make $root/.venv with $python: $(last_line "$why")"
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
        case $(cat "$log") in
            *onnection* | *resolution* | *unreachable* | *'timed out'*) why='the package index cannot be reached' ;;
            *) why=$(last_line "$(grep -i '^error' "$log" || cat "$log")") ;;
        esac
        fail "could not install the packages: $why; the whole story is in $log"
    fi
    fingerprint >"$root/.venv/.stamp-$1"
}

setup_venv() {
    if is_set_up "$1"; then return 0; fi
    # One at a time: the lock is on a file of its own, since .venv may be made anew.
    if ! (: >>"$root/.venv.lock") 2>/dev/null; then
        fail "cannot write in $root, where .venv has to be made once; run this as the owner of the directory"
    fi
    command -v flock >/dev/null || fail 'flock is missing; on Debian: apt-get install util-linux'
    exec 9>>"$root/.venv.lock"
    flock 9
    if ! is_set_up "$1"; then
        make_venv
        install_into_venv "$1"
    fi
    exec 9>&-
}
