#!/usr/bin/env bash
# A fresh checkout on a machine that has Node.js and npm and nothing else of ours, for a user who is not root:
# the two commands of the README, Ctrl-C, the next start, and the tests.
#
#   bare-machine.sh NODE_IMAGE      needs a Docker engine
set -euo pipefail

image=${1:?base image with Node.js}
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# The files of the checkout as they are now. `--init` buries what a test orphans.
git ls-files -z --cached --others --exclude-standard | tar --null --ignore-failed-read --files-from - --create |
  docker run --rm --interactive --init --user node --env CI --env NO_COLOR=1 "$image" \
    bash -ec 'mkdir ~/setstream && cd ~/setstream && tar -x && bash test/containers/bare-machine-user.sh'
