# Object stores for the tests: moto, radosgw and MinIO (S3), Azurite (Azure). Sourced after lib.sh; `start_servers` installs and
# starts all of them on loopback, writes a settings file for each and names it in the variables that the tests look for.
# They end with the script. What they write lies below $target/servers; removed when they stop.

moto_version=5.2.5
azurite_version=3.35.0
minio_version=v0.0.0-20260212201848-7aac2a2c5b7c
servers=$target/servers
servers_data=
servers_pids=()

# free_ports N: that many unused ports on loopback, all different.
free_ports() {
  python3 - "$1" <<'PYTHON'
import socket, sys
held = [socket.socket() for _ in range(int(sys.argv[1]))]
for one in held:
    one.bind(("127.0.0.1", 0))
print(*(one.getsockname()[1] for one in held))
PYTHON
}

# until_ready WHAT SECONDS COMMAND...: repeats the command until it succeeds, with a bound.
until_ready() {
  local what=$1 end=$((SECONDS + $2))
  shift 2
  until "$@" >>"$servers_data/ready.log" 2>&1; do
    if [ "$SECONDS" -ge "$end" ]; then
      tail -n 20 "$servers_data"/*.log >&2 || true
      fail "$what did not become ready"
    fi
    sleep 0.2
  done
}

# serve NAME COMMAND...: starts a server of this script; its output goes to NAME.log.
serve() {
  local name=$1
  shift
  "$@" </dev/null >"$servers_data/$name.log" 2>&1 &
  servers_pids+=("$!")
}

# Stops what `serve` started, newest first, and removes what it wrote. Called at the end of the script.
stop_servers() {
  local at pid
  for ((at = ${#servers_pids[@]} - 1; at >= 0; at--)); do
    pid=${servers_pids[at]}
    kill "$pid" 2>/dev/null || continue
    # Five seconds to end in order.
    for _ in {1..50}; do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.1
    done
    kill -9 "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  servers_pids=()
  [ -z "$servers_data" ] || rm -rf "$servers_data"
  servers_data=
}

# settings NAME: writes standard input to a file that nobody else can read, and prints its path.
settings() {
  local file=$servers_data/$1.toml
  (umask 077 && cat >"$file")
  printf '%s\n' "$file"
}

# s3_settings NAME PORT KEY SECRET: the settings of an S3 server on that port of loopback; prints the path.
s3_settings() {
  settings "$1" <<TOML
[s3]
endpoint = "http://127.0.0.1:$2"
region = "us-east-1"
access_key_id = "$3"
secret_access_key = "$4"
TOML
}

# make_bucket URL KEY SECRET: makes the buckets that the tests use.
make_bucket() {
  PYTHONPATH=$servers/moto-$moto_version python3 - "$@" <<'PYTHON'
import sys, boto3
from botocore.config import Config
url, key, secret = sys.argv[1:]
client = boto3.client("s3", endpoint_url=url, aws_access_key_id=key, aws_secret_access_key=secret, region_name="us-east-1",
    config=Config(connect_timeout=5, read_timeout=30, retries={"max_attempts": 1}, s3={"addressing_style": "path"}, proxies={}))
there = [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]
if "nakivo-test" not in there:
    client.create_bucket(Bucket="nakivo-test")
# One that keeps versions and can lock them; what is locked goes with the server.
if "nakivo-locked" not in there:
    client.create_bucket(Bucket="nakivo-locked", ObjectLockEnabledForBucket=True)
PYTHON
}

# make_container URL ACCOUNT KEY: the same for Azure, signed with the account's key.
make_container() {
  python3 - "$@" <<'PYTHON'
import base64, hashlib, hmac, sys, urllib.error, urllib.request
from email.utils import formatdate
url, account, key = sys.argv[1:]
headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-08-06"}
signed = "PUT" + "\n" * 12 + "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
signed += f"/{account}/{account}/nakivo-test\nrestype:container"
mac = hmac.new(base64.b64decode(key), signed.encode(), hashlib.sha256).digest()
headers["Authorization"] = f"SharedKey {account}:{base64.b64encode(mac).decode()}"
headers["Content-Length"] = "0"
request = urllib.request.Request(f"{url}/nakivo-test?restype=container", method="PUT", headers=headers)
try:
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30)
except urllib.error.HTTPError as error:
    if error.code != 409:
        raise
PYTHON
}

start_moto() {
  local port folder=$servers/moto-$moto_version
  if [ ! -e "$folder/installed" ]; then
    python3 -m pip --version >/dev/null 2>&1 || need pip3 python3-pip
    rm -rf "$folder"
    # A folder of its own: nothing of the system's Python is touched.
    # It complains about what other folders hold, which does not matter here.
    python3 -m pip install --quiet --no-input --root-user-action=ignore --target "$folder" "moto[server]==$moto_version" \
      </dev/null >"$servers_data/install.log" 2>&1 || { cat "$servers_data/install.log" >&2; fail "moto could not be installed"; }
    touch "$folder/installed"
  fi
  port=$(free_ports 1)
  serve moto env PYTHONPATH="$folder" python3 -m moto.server -H 127.0.0.1 -p "$port"
  until_ready moto 60 make_bucket "http://127.0.0.1:$port" any any
  NAKIVO_TEST_S3_MOTO=$(s3_settings moto "$port" any any)
  export NAKIVO_TEST_S3_MOTO
}

start_azurite() {
  local port folder=$servers/azurite-$azurite_version
  # The well-known account of the emulator; its key is public.
  local account=devstoreaccount1
  local key=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==
  if [ ! -e "$folder/installed" ]; then
    need npm npm
    rm -rf "$folder"
    mkdir -p "$folder"
    npm install --no-fund --no-audit --ignore-scripts --prefix "$folder" "azurite@$azurite_version" \
      </dev/null >"$servers_data/install.log" 2>&1 || { cat "$servers_data/install.log" >&2; fail "Azurite could not be installed"; }
    touch "$folder/installed"
  fi
  port=$(free_ports 1)
  serve azurite "$folder/node_modules/.bin/azurite-blob" --blobHost 127.0.0.1 --blobPort "$port" \
    --location "$servers_data/azurite" --skipApiVersionCheck --disableTelemetry --silent
  until_ready azurite 60 make_container "http://127.0.0.1:$port/$account" "$account" "$key"
  NAKIVO_TEST_AZURE=$(settings azure <<TOML
[azure]
account = "$account"
endpoint = "http://127.0.0.1:$port/$account"
access_key = "$key"
TOML
  )
  export NAKIVO_TEST_AZURE
}

# MinIO, where there is Go to build it with: the one server in reach that both keeps locks and, in a bucket that does, creates only
# what is absent. Where there is no Go, or no module proxy in reach of it, its tests report themselves as skipped, and
# `without_minio` says why. What is there and does not build is a failure.
without_minio=
start_minio() {
  local port folder=$servers/minio-$minio_version
  local module=github.com/minio/minio@$minio_version
  command -v go >/dev/null 2>&1 || { without_minio="there is no Go to build it with"; return 0; }
  if [ ! -x "$folder/minio" ]; then
    (cd "$servers" && timeout 300 go mod download "$module") </dev/null >"$servers_data/install.log" 2>&1 || {
      tail -n 3 "$servers_data/install.log" >&2
      without_minio="its source could not be had from the module proxy"
      return 0
    }
    GOBIN=$folder CGO_ENABLED=0 timeout 900 go install -ldflags '-s -w' "$module" \
      </dev/null >"$servers_data/install.log" 2>&1 || { cat "$servers_data/install.log" >&2; fail "MinIO could not be built"; }
  fi
  port=$(free_ports 1)
  serve minio env MINIO_ROOT_USER=testkey MINIO_ROOT_PASSWORD=testsecret MINIO_BROWSER=off MINIO_UPDATE=off \
    "$folder/minio" server --quiet --address "127.0.0.1:$port" "$servers_data/minio"
  until_ready minio 60 make_bucket "http://127.0.0.1:$port" testkey testsecret
  NAKIVO_TEST_S3_MINIO=$(s3_settings minio "$port" testkey testsecret)
  export NAKIVO_TEST_S3_MINIO
}

# A whole Ceph cluster of one of each: it is the one S3 server in reach that checks signatures. Authentication stays on:
# without it radosgw hangs.
start_radosgw() {
  need radosgw radosgw
  need ceph-mon ceph-mon
  need ceph-osd ceph-osd
  need ceph-mgr ceph-mgr
  need ceph ceph-common
  local w=$servers_data/ceph fsid uuid ports
  mkdir -p "$w"/{mon,mgr,osd}
  fsid=$(cat /proc/sys/kernel/random/uuid)
  uuid=$(cat /proc/sys/kernel/random/uuid)
  read -r -a ports <<<"$(free_ports 3)"
  cat >"$w/ceph.conf" <<CONF
[global]
fsid = $fsid
mon host = [v2:127.0.0.1:${ports[0]},v1:127.0.0.1:${ports[1]}]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon data = $w/mon
mgr data = $w/mgr
osd data = $w/osd
osd journal = $w/osd/journal
osd objectstore = bluestore
bluestore block size = 8589934592
osd memory target = 939524096
keyring = $w/keyring
run dir = $w
pid file =
admin socket =
log file = $w/\$name.log
mon cluster log file = $w/cluster.log
rgw data = $w/rgw
CONF
  (
    cd "$w"
    export CEPH_CONF=$w/ceph.conf
    ceph-authtool -C keyring --gen-key -n mon. --cap mon 'allow *'
    for name in client.admin client.rgw; do
      ceph-authtool keyring --gen-key -n "$name" --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *'
    done
    ceph-authtool keyring --gen-key -n osd.0 --cap mon 'allow profile osd' --cap osd 'allow *' --cap mgr 'allow profile osd'
    ceph-authtool keyring --gen-key -n mgr.x --cap mon 'allow profile mgr' --cap osd 'allow *' --cap mds 'allow *'
    monmaptool --create --clobber --fsid "$fsid" --addv a "[v2:127.0.0.1:${ports[0]},v1:127.0.0.1:${ports[1]}]" monmap
    ceph-mon --mkfs -i a --monmap monmap --keyring keyring
  ) >"$servers_data/ceph.log" 2>&1 || { cat "$servers_data/ceph.log" >&2; fail "the Ceph cluster could not be made"; }
  local -a conf=(env CEPH_CONF="$w/ceph.conf")
  serve ceph-mon "${conf[@]}" ceph-mon -f -i a
  until_ready ceph-mon 60 "${conf[@]}" timeout 10 ceph --connect-timeout 5 osd new "$uuid" 0
  serve ceph-mgr "${conf[@]}" ceph-mgr -f -i x
  "${conf[@]}" ceph-osd -i 0 --mkfs --osd-uuid "$uuid" >>"$servers_data/ceph.log" 2>&1
  serve ceph-osd "${conf[@]}" ceph-osd -f -i 0
  serve radosgw "${conf[@]}" radosgw -f -n client.rgw --rgw-frontends "beast endpoint=127.0.0.1:${ports[2]}"
  # Alone it would wait for ever for the cluster.
  until_ready "the radosgw user" 120 "${conf[@]}" timeout 60 radosgw-admin user create --uid=test --display-name=test \
    --access-key=testkey --secret-key=testsecret
  until_ready radosgw 120 make_bucket "http://127.0.0.1:${ports[2]}" testkey testsecret
  NAKIVO_TEST_S3_RADOSGW=$(s3_settings radosgw "${ports[2]}" testkey testsecret)
  export NAKIVO_TEST_S3_RADOSGW
}

start_servers() {
  need python3 python3
  mkdir -p "$servers"
  servers_data=$(mktemp -d "$servers/run-XXXXXX")
  # Loopback is not to be reached through a proxy.
  export NO_PROXY="${NO_PROXY:+$NO_PROXY,}127.0.0.1" no_proxy="${no_proxy:+$no_proxy,}127.0.0.1"
  start_moto
  start_azurite
  start_minio
  start_radosgw
}
