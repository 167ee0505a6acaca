from __future__ import annotations
import json, os, time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from benchmarks.load import MARK, Load
from serving.settings import Settings
from tests.serving.live.conftest import SECRET, encoded, Server
from tests.serving.stream.conftest import StreamServer
import redis

def test_capacity(bundles, world, scans, redis_server, tmp_path):
    bodies = tmp_path / "bodies"
    bodies.write_bytes(b"\n".join(encoded(s, scan_id="S"+MARK.decode()) for s in scans))
    def chosen(n):
        return Settings(home=tmp_path/f"s{n}", bundles=bundles, tables=world, secret=SECRET, deadline_ms=1000)
    out = {}
    for count in (1, 3):
        with ExitStack() as stack:
            servers = [stack.enter_context(StreamServer(chosen(10*count+n), redis_server)) for n in range(count)]
            loads = [Load(s.port, "/v1/scans/score", str(bodies), connections=32//count if count==1 else 11, seconds=6.0, warm=1.0, good='"recorded":true', start=(10*count+n)*100_000_000) for n, s in enumerate(servers)]
            with ThreadPoolExecutor(3) as pool:
                found = list(pool.map(lambda l: l.measured(), loads))
            out[count] = (sum(f["good_per_second"] for f in found), [(f["good_per_second"], f["good_ms"], f["statuses"], f["errors"]) for f in found], os.getloadavg()[0])
    c = redis.Redis(port=redis_server.port)
    entries = c.xlen("shepherd:stream")
    info = c.info("memory")["used_memory"]
    aof = sum(p.stat().st_size for p in redis_server.folder.rglob("*") if p.is_file() and "aof" in p.name)
    print(json.dumps({"out": out, "entries": entries, "bytes_each": info/entries, "aof_each": aof/entries}, indent=1, default=str))
    # embedded, same machine
    home = tmp_path/"embedded"; home.mkdir()
    with Server(chosen("e").model_copy(update={"home": home})) as s:
        time.sleep(1)
        f = Load(s.port, "/v1/scans/score", str(bodies), connections=32, seconds=6.0, warm=1.0, good='"recorded":true', start=9_900_000_000).measured()
        print("embedded", f["good_per_second"], f["good_ms"], os.getloadavg()[0])
    t = time.monotonic()
    with StreamServer(chosen(99), redis_server):
        print("a new scorer read", entries, "entries; ready after", time.monotonic()-t)
