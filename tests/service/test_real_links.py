"""A link that is slow, and a path that swallows large packets: real ones, between namespaces."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

SLOW_LINK = """
set -e
ip link set lo mtu 1500 up
tc qdisc add dev lo root tbf rate 40kbit burst 3000 latency 1s
echo ready >&2
{python} -c "$SERVICE" 127.0.0.1 &
service=$!
{python} -c "$JOB" 127.0.0.1
kill $service
"""

# The other end drops what is larger than its MTU, says nothing, and promises to take it.
MTU_HOLE = """
set -e
ip link set lo up
unshare -n sleep 100 &
other=$!
trap 'kill $other' EXIT
until [ "$(readlink /proc/$other/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.01; done
ip link add v0 mtu 1500 type veth peer name v1 mtu 1500
ip link set v0 gso_max_segs 1
ip link set v1 netns $other
ip addr add 10.9.0.1/24 dev v0
ip link set v0 up
there="nsenter -t $other -n"
$there ip addr add 10.9.0.2/24 dev v1
$there ip link set v1 mtu 1200 up
$there ip route change 10.9.0.0/24 dev v1 proto kernel scope link src 10.9.0.2 advmss 1460
echo ready >&2
$there {python} -c "$SERVICE" 10.9.0.2 &
service=$!
{python} -c "$JOB" 10.9.0.2
kill $service
"""

SERVICE = """
import sys, http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
    log_message = print
http.server.ThreadingHTTPServer((sys.argv[1], 8000), Handler).serve_forever()
"""

JOB = """
import json, socket, sys, time
from loguru import logger
from loghc import HealthSink
until = time.monotonic() + 10
while time.monotonic() < until:
    try:
        socket.create_connection((sys.argv[1], 8000), 1).close()
        break
    except OSError:
        time.sleep(0.05)
logger.remove()
sink = HealthSink(
    f"http://{sys.argv[1]}:8000/x",
    timeout=8,
    on_outcome=lambda each: print(json.dumps([each.event.value, each.delivered, each.attempts])),
)
logger.add(sink)
logger.info("sync.start")
assert sink.wait(20)
for number in range(4000):
    logger.info("{:05} copied a photo", number)
logger.error("sync.error: disk full")
logger.info("sync.done: well again")
sink.wait(60)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="network namespaces are Linux's")
@pytest.mark.parametrize("link", [SLOW_LINK, MTU_HOLE], ids=["40 kbit/s", "a hole for packets"])
def test_the_verdict_gets_through_by_the_third_attempt(link: str) -> None:
    if not all(map(shutil.which, ("unshare", "nsenter", "ip", "tc"))):
        pytest.skip("needs unshare, nsenter, ip and tc")
    done = subprocess.run(
        ["unshare", "-rn", "bash", "-c", link.format(python=sys.executable)],
        env={"SERVICE": SERVICE, "JOB": JOB, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    if "ready" not in done.stderr:
        pytest.skip(f"no such network is to be had here: {done.stderr.strip()[-200:]}")
    outcomes = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    verdicts = [(delivered, attempts) for event, delivered, attempts in outcomes if event == "fail"]
    assert verdicts[0][0], done.stderr
    assert verdicts[0][1] <= 3, done.stderr
    assert ["success", True] in [each[:2] for each in outcomes], done.stderr
    assert "with less of its log: all of it could not be sent in time" in done.stderr
    assert "limit" in done.stderr
