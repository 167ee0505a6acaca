from __future__ import annotations
import asyncio, json, time
import pytest
from serving.stream.service import StreamService
from serving.settings import Settings
from tests.serving.live.conftest import SECRET
from tests.serving.stream.conftest import *

def settings_of(bundles, world, folder, url, **more):
    return Settings(home=folder, bundles=bundles, tables=world, secret=SECRET, deadline_ms=more.pop("deadline_ms", 5000), state=url, **more)

def test_try(bundles, world, scans, redis_server, tmp_path):
    async def go():
        lives = [StreamService.open(settings_of(bundles, world, tmp_path/f"s{i}", redis_server.url)) for i in range(3)]
        while any(l.obstacle for l in lives):
            print([l.obstacle for l in lives]); await asyncio.sleep(0.1)
        t=time.process_time(); w=time.monotonic()
        async def run(k):
            out=[]
            for s in scans[k:300:3]:
                out.append(await lives[k].desk.score(s))
            return out
        res = await asyncio.gather(*(run(k) for k in range(3)))
        print(time.process_time()-t, time.monotonic()-w)
        print([ (r.status, json.loads(r.body)["degraded"]) for rs in res for r in rs][:5])
        assert all(json.loads(r.body)["recorded"] for rs in res for r in rs)
        again = [[await lives[(k+1)%3].desk.score(s) for s in scans[k:300:3]] for k in range(3)]
        assert again == res
        for l in lives: await l.close()
    asyncio.run(go())
