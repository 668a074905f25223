#!/bin/sh
# Checks and measures webgpu on this machine with what the pack brings; ./run.sh --help tells the options.
case $0 in
*/*) here=$(cd "${0%/*}" && pwd) ;;
*) here=$PWD ;;
esac
exec "$here/node/bin/node" "$here/checks/tests/gpu/run.js" "$@"
