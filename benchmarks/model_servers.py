"""Servers of models that others would use for the same scores: MLflow's, BentoML and MLServer, each at its best.

Each has an environment of its own, since their needs do not go together; MLflow's is the project's. All serve the
trees that we serve, on one thread and in one process, and get the values of one row as a list, which is shorter than
our object by name. What was measured to be quicker is what they do: MLServer without its worker processes, BentoML in
its event loop with the part of our graph that scores, MLflow with plain lists instead of a table.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import log
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from benchmarks.served_fraud import Served

_PINS: Final = {
    "mlserver": ("mlserver==1.7.1", "mlserver-lightgbm==1.7.1"),
    "bentoml": ("bentoml==1.4.39", "onnxruntime==1.32.0"),
}
_HOST: Final = "127.0.0.1"
LONGEST_START: Final = 180.0
_ONE_THREAD: Final = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

_BENTO: Final = '''"""Scores rows with the graph beside it."""

from pathlib import Path

import bentoml
import numpy as np
import onnxruntime as ort


@bentoml.service(workers=1, traffic={"timeout": 60, "max_concurrency": 100_000})
class Fraud:
    def __init__(self) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = ort.InferenceSession(
            str(Path(__file__).with_name("score.onnx")), options, providers=["CPUExecutionProvider"]
        )

    @bentoml.api
    async def score(self, rows: list[list[float]]) -> list[float]:
        found = self._session.run(["raw"], {"features": np.array(rows, dtype=np.float64)})
        return found[0].tolist()
'''


class NoPeer(Exception):
    """A peer cannot be had here; the message says why."""


@dataclass(frozen=True)
class ModelServer:
    """One server, ready to be started.

    Attributes:
        name: What it is called.
        command: What starts it, with `{port}` where its port goes.
        path: Where it scores.
        ready: Where it says that it is ready.
        body: One row as it wants it.
        raw: The raw score in its answer, to hold it to ours.
        folder: Where it is started.
        settings: Its environment, besides one thread.
        kind: The content type of a body.
    """

    name: str
    command: Sequence[str]
    path: str
    ready: str
    body: Callable[[NDArray[np.float32]], bytes]
    raw: Callable[[bytes], float]
    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict)

    @contextmanager
    def started(self, core: int | None = None) -> Iterator[Running]:
        """The server while it runs, from when it is ready.

        Raises:
            RuntimeError: It ended, or was not ready in three minutes.
        """
        with running(self.command, self.folder, self.settings, self.ready, core) as found:
            yield found


@dataclass(frozen=True)
class Running:
    """A server that answers.

    Attributes:
        port: Where.
        process: Its first process.
        seconds: How long it took to be ready.
        log: What it says.
    """

    port: int
    process: subprocess.Popen[bytes]
    seconds: float
    log: Path

    def ask(self, path: str, body: bytes | None = None) -> bytes:
        """One answer."""
        request = urllib.request.Request(
            f"http://{_HOST}:{self.port}{path}", body, {"Content-Type": "application/json"} if body else {}
        )
        with urllib.request.urlopen(request, timeout=30) as reply:  # noqa: S310 - this machine
            answer: bytes = reply.read()
            return answer


@contextmanager
def running(
    command: Sequence[str],
    folder: Path,
    settings: Mapping[str, str],
    ready: str,
    core: int | None = None,
    longest_start: float = LONGEST_START,
) -> Iterator[Running]:
    """A server of this machine while it runs: started on a free port, ended with all its processes.

    Args:
        command: What starts it, with `{port}` where its port goes.
        folder: Where it is started, and where its log lies.
        settings: Its environment, besides ours and one thread.
        ready: The path that answers 200 once it is ready.
        core: The processor core that it stays on; None for any.
        longest_start: Seconds after which it has to be ready.

    Raises:
        RuntimeError: It ended, or was not ready in time.
    """
    port, log = free_port(), folder / "server.log"
    words = [word.replace("{port}", str(port)) for word in command]
    began = time.perf_counter()
    with log.open("wb") as said:
        process = subprocess.Popen(  # noqa: S603 - a server that is measured
            words,
            cwd=folder,
            env={**os.environ, **_ONE_THREAD, **settings, "PORT": str(port)},
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        if core is not None:
            os.sched_setaffinity(process.pid, {core})
        found = Running(port, process, 0.0, log)
        _await(found, ready, began, longest_start)
        yield Running(port, process, time.perf_counter() - began, log)
    finally:
        end(process)


def end(process: subprocess.Popen[bytes], patience: float = 15.0) -> None:
    """Ends a process that was started here, and the group that it leads."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    try:
        os.killpg(process.pid, 9)  # what it left behind; it led a session of its own
    except ProcessLookupError:
        return


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind((_HOST, 0))
        port: int = found.getsockname()[1]
        return port


def _await(server: Running, path: str, began: float, longest_start: float) -> None:
    while True:
        if server.process.poll() is not None:
            raise RuntimeError(f"{server.log.parent.name} ended: {_last(server.log)}")
        try:
            server.ask(path)
        except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
            if time.perf_counter() - began > longest_start:
                raise RuntimeError(f"{server.log.parent.name} not ready: {error}; {_last(server.log)}") from error
            time.sleep(0.02)
        else:
            return


def _last(log: Path) -> str:
    return log.read_text(errors="replace")[-600:]


def peers(served: Served, graph: bytes, environments: Path, folder: Path) -> dict[str, ModelServer | str]:
    """The peers by name; for one that cannot be had, why.

    Args:
        served: The model.
        graph: The part of its graph that gives the raw score.
        environments: Where their environments are, or are put.
        folder: Where they are started.
    """
    found: dict[str, ModelServer | str] = {}
    makers: dict[str, Callable[[], ModelServer]] = {
        "mlflow": lambda: _mlflow(served, _made(folder / "mlflow")),
        "bentoml": lambda: _bentoml(graph, _environment("bentoml", environments), _made(folder / "bentoml")),
        "mlserver": lambda: _mlserver(served, _environment("mlserver", environments), _made(folder / "mlserver")),
    }
    for name, make in makers.items():
        try:
            found[name] = make()
        except NoPeer as reason:
            found[name] = str(reason)
    return found


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _environment(name: str, root: Path) -> Path:
    """The programs of a peer's environment, made with pip if it is not there yet."""
    programs = root / name / "bin"
    if not (programs / name).exists():
        print(f"{name}: installing {', '.join(_PINS[name])} ...", file=sys.stderr, flush=True)
        for command in (
            [sys.executable, "-m", "venv", str(root / name)],
            [str(programs / "python"), "-m", "pip", "install", "--quiet", *_PINS[name]],
        ):
            done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - pip
            if done.returncode:
                lines = done.stderr.strip().splitlines() or ["no reason given"]
                raise NoPeer(f"pip cannot install {' '.join(_PINS[name])} here: {lines[-1]}")
    return programs


def _mlflow(served: Served, folder: Path) -> ModelServer:
    import lightgbm as lgb  # noqa: PLC0415 - a peer's
    import mlflow.lightgbm  # noqa: PLC0415

    model = folder / "model"
    if not model.exists():
        mlflow.lightgbm.save_model(lgb.Booster(model_file=served.trees), str(model), pip_requirements=["lightgbm"])
    programs = Path(sys.executable).parent
    words = [str(programs / "mlflow"), "models", "serve", "--model-uri", str(model), "--env-manager", "local"]
    return ModelServer(
        "mlflow",
        [*words, "--host", _HOST, "--port", "{port}", "--workers", "1"],
        "/invocations",
        "/ping",
        lambda row: json.dumps({"inputs": [_listed(row)]}).encode(),  # NaN as Python writes it, since null is refused
        lambda answer: _log_odds(json.loads(answer)["predictions"][0]),
        folder,
        {"PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', '')}", "MLFLOW_DISABLE_TELEMETRY": "true"},
    )


def _bentoml(graph: bytes, programs: Path, folder: Path) -> ModelServer:
    (folder / "service.py").write_text(_BENTO)
    (folder / "score.onnx").write_bytes(graph)
    return ModelServer(
        "bentoml",
        [str(programs / "bentoml"), "serve", "service:Fraud", "--host", _HOST, "--port", "{port}"],
        "/score",
        "/readyz",
        lambda row: json.dumps({"rows": [_listed(row)]}).encode(),
        lambda answer: float(json.loads(answer)[0]),
        folder,
        {"BENTOML_HOME": str(folder / "home"), "BENTOML_DO_NOT_TRACK": "True"},
    )


def _mlserver(served: Served, programs: Path, folder: Path) -> ModelServer:
    settings = {
        "host": _HOST,
        "parallel_workers": 0,
        "debug": False,
        "metrics_endpoint": None,
        "use_structured_logging": False,
    }
    model = {
        "name": "fraud",
        "implementation": "mlserver_lightgbm.LightGBMModel",
        "parameters": {"uri": str(served.trees)},
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "model-settings.json").write_text(json.dumps(model))
    rpc = free_port()
    return ModelServer(
        "mlserver",
        ["/bin/sh", "-c", f'MLSERVER_HTTP_PORT="$PORT" exec "{programs / "mlserver"}" start .'],
        "/v2/models/fraud/infer",
        "/v2/health/ready",
        lambda row: json.dumps(
            {"inputs": [{"name": "rows", "shape": [1, len(row)], "datatype": "FP64", "data": _or_null(row)}]}
        ).encode(),
        lambda answer: _log_odds(json.loads(answer)["outputs"][0]["data"][0]),
        folder,
        {"MLSERVER_GRPC_PORT": str(rpc)},
    )


def _listed(row: NDArray[np.float32]) -> list[float]:
    values: list[float] = row.tolist()
    return values


def _or_null(row: NDArray[np.float32]) -> list[float | None]:
    return [None if value != value else value for value in _listed(row)]  # noqa: PLR0124 - NaN


def _log_odds(probability: float) -> float:
    return log(probability / (1 - probability))
