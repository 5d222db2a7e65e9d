#!/usr/bin/env bash
# Gets NATS for `npm run bench -- --peers nats`: the server from Debian's packages unless there is one, and
# its Node client into a cache folder (BENCH_CACHE, or ~/.cache/millrace-bench).
# `--newer` also builds a server from its Go module: Debian 12's 2.9 has no `sync_interval` (2.10), which
# an fsync before every acknowledgement takes. NATS_SERVER_VERSION says which.
set -euo pipefail
cache="${BENCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/millrace-bench}/nats"
mkdir -p "$cache"
if ! command -v nats-server >/dev/null && [ ! -x "$cache/bin/nats-server" ]; then
  apt-get install -y nats-server
fi
if [ "${1:-}" = "--newer" ]; then
  GOBIN="$cache/bin" go install "github.com/nats-io/nats-server/v2@v${NATS_SERVER_VERSION:-2.10.29}"
fi
npm install --no-audit --no-fund --prefix "$cache" @nats-io/transport-node@3.4.0 @nats-io/jetstream@3.4.0
echo "NATS is in $cache"
