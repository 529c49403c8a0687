"""Requests, in this process: predictions, refusals, limits."""

import asyncio
import io
import json
import struct
import threading
import zlib
from base64 import b64encode
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from twinrank.core.cache_folder import cache_folder
from twinrank.core.web import Guard
from twinrank.data.judgements import load_pairs
from twinrank.errors import InputError
from twinrank.inference.form import ImageForm
from twinrank.inference.load import load_predictor
from twinrank.inference.network import Network
from twinrank.runs import RunFolder
from twinrank.serving.app import make_app
from twinrank.serving.door import Door
from twinrank.serving.images import as_png
from twinrank.serving.limits import Limits
from twinrank.serving.metrics import Metrics
from twinrank.serving.models import Model, names_of
from twinrank.serving.networks import remote_models, work

Answer = tuple[int, dict[str, Any]]


class Client:
    def __init__(self, models: Sequence[Model], limits: Limits = Limits()) -> None:
        # Whoever asks names this machine.
        self.http = TestClient(make_app(models, limits), "http://127.0.0.1", raise_server_exceptions=False)

    def post(self, path: str, body: object) -> Answer:
        answer = self.http.post(path, json=body)
        return answer.status_code, answer.json()


@pytest.fixture(scope="module")
def models(digits_run: RunFolder, words_run: RunFolder) -> list[Model]:
    predictors = load_predictor(digits_run.path), load_predictor(words_run.path)
    return [Model(name, predictor) for name, predictor in zip(("digits", "words"), predictors, strict=True)]


@pytest.fixture(scope="module")
def client(models: list[Model]) -> Iterator[Client]:
    client = Client(models)
    with client.http:
        yield client


@pytest.fixture(scope="module")
def files(benchmark_folder: Path, models: list[Model]) -> dict[str, list[str]]:
    """Images of each model, in base64; the words come in three sizes."""
    words = np.random.default_rng(0).integers(0, 256, (30, 3, 16, 32), np.uint8)
    digits = load_pairs(benchmark_folder / "test_private.npz").images.take(np.arange(30))
    return {
        "digits": [as_png(image) for image in digits],
        "words": [as_png(image[:, : 16 - number % 3]) for number, image in enumerate(words)],
    }


def pair(files: Sequence[str], left: int, right: int, **more: Any) -> dict[str, Any]:
    return {"left": files[left], "right": files[right], **more}


@pytest.mark.parametrize("name", ["digits", "words"])
def test_batches_of_many_clients_give_the_bits_of_one_alone(
    client: Client, files: dict[str, list[str]], name: str
) -> None:
    requests = [pair(files[name], left, (left + 7) % 30, model=name, levels=True) for left in range(30)]
    several = {"model": name, "levels": True, "pairs": [pair(files[name], left, left + 1) for left in range(9)]}
    alone = [client.post("/compare", request) for request in [*requests, several]]
    assert {status for status, _ in alone} == {200}
    before = float(client.http.get("/metrics").text.partition("\ntwinrank_batch_pairs_count ")[2].split()[0])
    with ThreadPoolExecutor(16) as pool:
        assert [*pool.map(lambda request: client.post("/compare", request), [*requests, several])] == alone
    after = float(client.http.get("/metrics").text.partition("\ntwinrank_batch_pairs_count ")[2].split()[0])
    assert after - before < len(alone)


@pytest.mark.parametrize("name", ["digits", "words"])
def test_a_swapped_pair_mirrors_exactly(client: Client, files: dict[str, list[str]], name: str) -> None:
    for number in range(10):
        _, there = client.post("/compare", pair(files[name], number, number + 1, model=name, levels=True))
        _, back = client.post("/compare", pair(files[name], number + 1, number, model=name, levels=True))
        assert there["probability"] == 1 - back["probability"]
        assert there["logit"] == -back["logit"]
        assert there.get("tie") == back.get("tie")
        if name == "digits":
            assert there["levels"] == {"left": back["levels"]["right"], "right": back["levels"]["left"]}


def test_they_are_the_predictions_of_the_network(client: Client, digits_run: RunFolder, benchmark_folder: Path) -> None:
    data, network = load_pairs(benchmark_folder / "test_private.npz"), Network(digits_run)
    pairs = [{"left": as_png(left), "right": as_png(right)} for left, right in zip(data.xa, data.xb, strict=True)]
    _, found = client.post("/compare", {"pairs": pairs, "levels": True})
    logit, levels = network.logits_and_levels(data)
    assert levels is not None
    np.testing.assert_allclose([each["logit"] for each in found["pairs"]], logit, atol=1e-4)
    np.testing.assert_allclose([each["levels"]["right"] for each in found["pairs"]], np.exp(levels[:, 1]), atol=1e-4)
    _, scored = client.post("/score", {"images": [each["left"] for each in pairs]})
    assert np.corrcoef(scored["scores"], network.scores(data.images)[data.left])[0, 1] > 0.999
    _, ranked = client.post("/rank", {"images": [pairs[0]["left"], pairs[1]["left"], pairs[0]["left"]]})
    places = {each["image"]: each["place"] for each in ranked["ranking"]}
    assert places[0] == places[2] != places[1]
    assert [each["score"] for each in ranked["ranking"]] == sorted(
        (scored["scores"][row] for row in (0, 1, 0)), reverse=True
    )


def test_networks_of_another_process_give_the_same_bits(
    models: list[Model], digits_run: RunFolder, words_run: RunFolder
) -> None:
    here, there = Pipe()
    paths = {"digits": [digits_run.path], "words": [words_run.path]}
    process = threading.Thread(target=work, args=(there, paths, 1))
    process.start()
    for model, remote in zip(models, remote_models(here), strict=True):
        assert remote.described() == model.described()
        images = np.random.default_rng(0).integers(0, 256, (4, *model.form.shape), np.uint8)
        pairs = np.array([0, 2]), np.array([1, 3])
        assert remote.compare(images, *pairs).equals(model.compare(images, *pairs))
        np.testing.assert_array_equal(remote.score(images), model.score(images))
        with pytest.raises(RuntimeError, match="IndexError"):
            remote.compare(images, np.array([9]), np.array([0]))
    here.close()
    process.join(10)
    assert not process.is_alive()
    here, there = Pipe()
    work(there, {"nothing": [digits_run.path / "nothing"]}, 1)
    with pytest.raises(InputError, match="nothing"):
        remote_models(here)


def test_frozen_networks_keep_nothing_on_disk(digits_run: RunFolder, files: dict[str, list[str]]) -> None:
    network = Network(digits_run)
    network.model.set_freeze("all")
    client, kept = Client([Model("frozen", network)]), cache_folder() / "features"
    before = sorted(kept.rglob("*"))
    with client.http:
        status, found = client.post("/compare", pair(files["digits"], 0, 1))
        assert (status, client.post("/compare", pair(files["digits"], 1, 0))[1]["logit"]) == (200, -found["logit"])
    assert sorted(kept.rglob("*")) == before


def test_what_speaks_for_an_image_is_explained(client: Client, files: dict[str, list[str]]) -> None:
    _, found = client.post("/explain", pair(files["digits"], 0, 1))
    _, back = client.post("/explain", pair(files["digits"], 1, 0))
    assert np.shape(found["left"]) == (13, 13)
    assert found["left"] == (-np.array(back["right"])).tolist()
    assert found["left_image"] == files["digits"][0]
    assert client.post("/explain", pair(files["words"], 0, 1, model="words"))[0] == 200


def deep(value: int) -> str:
    made = io.BytesIO()
    Image.fromarray(np.full((28, 28), value, np.uint16)).save(made, "PNG")
    return b64encode(made.getvalue()).decode()


def bomb() -> str:
    """A file that says it has more pixels than Pillow opens."""
    size = struct.pack(">II", 60_000, 60_000)
    header = b"IHDR" + size + b"\x08\0\0\0\0"
    return b64encode(
        b"\x89PNG\r\n\x1a\n\0\0\0\x0d" + header + struct.pack(">I", zlib.crc32(header)) + b"\0\0\0\1IDAT"
    ).decode()


GOOD = as_png(np.full((1, 28, 28), 7, np.uint8))
SMALL = as_png(np.full((1, 20, 20), 7, np.uint8))
TEXT = b64encode(b"no image").decode()


@pytest.mark.parametrize(
    ("path", "body", "status", "line"),
    [
        ("/compare", {}, 422, "request: give 'left' and 'right', or 'pairs' alone"),
        ("/compare", {"left": GOOD, "right": GOOD, "pairs": []}, 422, "pairs: is empty; give at least one"),
        (
            "/compare",
            {"pairs": [{"left": GOOD, "right": GOOD}, {"left": GOOD}]},
            422,
            "pairs[1].right: is missing; give it",
        ),
        (
            "/compare",
            {"left": GOOD, "right": GOOD, "file": "/etc/passwd"},
            422,
            "file: there is no such field; leave it out",
        ),
        ("/compare", {"left": "/etc/passwd", "right": GOOD}, 422, "left: is no base64"),
        ("/compare", [], 422, "request: is no object; send one with its fields"),
        ("/compare", {"left": f"data:image/png;base64,{GOOD}", "right": GOOD}, 422, "left: is a data: URL; send only"),
        (
            "/compare",
            {"left": GOOD, "right": bomb()},
            422,
            "right: is an image of more than 50,000,000 pixels; make it",
        ),
        ("/compare", {"left": "http://x/", "right": GOOD}, 422, "left: is no base64"),
        ("/compare", {"left": GOOD, "right": ""}, 422, "right: is empty"),
        ("/compare", {"left": TEXT, "right": SMALL}, 422, "left: is an image that cannot be read as PNG"),
        ("/compare", {"left": deep(300), "right": GOOD}, 422, "left: is an image with more than 8 bits in grey; save"),
        (
            "/compare",
            {"pairs": [{"left": GOOD, "right": GOOD}, {"left": SMALL, "right": "?"}]},
            422,
            "pairs[1].left: images of 20 x 20 pixels; the model 'digits' was trained on 28 x 28; resize them, or let"
            " `resize` do it (1 more image refused, too)",
        ),
        (
            "/compare",
            {"left": GOOD, "right": GOOD, "model": "x"},
            404,
            "model: there is no 'x'; there is digits, words",
        ),
        ("/score", {"images": []}, 422, "images: is empty; give at least one"),
        ("/rank", {"images": [GOOD] * 513}, 422, "request: has 513 images; send 512 or fewer at a time"),
        ("/nothing", {}, 404, "there is no /nothing; /docs explains all requests"),
        ("/models", {}, 405, "/models takes GET, and not POST; /docs explains all requests"),
    ],
)
def test_each_refusal_is_one_line(client: Client, path: str, body: object, status: int, line: str) -> None:
    found, answer = client.post(path, body)
    assert (found, [*answer]) == (status, ["detail"])
    assert answer["detail"].startswith(line)
    assert len(answer["detail"].splitlines()) == 1


def test_images_are_resized_where_that_is_asked_for(client: Client) -> None:
    assert client.post("/compare", {"left": GOOD, "right": SMALL, "resize": True})[0] == 200


def test_requests_are_not_for_pages_of_others(client: Client) -> None:
    http = client.http
    assert http.get("/models", headers={"Host": "evil.example"}).status_code == 400
    plain = http.post("/compare", content="{", headers={"Content-Type": "application/json"})
    assert (plain.status_code, plain.json()["detail"][:22]) == (422, "the request is no JSON")
    bytes_ = http.post("/compare", content=b"\xff{", headers={"Content-Type": "application/json"})
    assert (bytes_.status_code, bytes_.json()["detail"][:31]) == (400, "the request is no JSON in UTF-8")
    assert http.post("/compare", content=iter([b"{}"])).status_code == 411
    assert http.post("/compare", content=b"{}", headers={"Content-Type": "text/plain"}).status_code == 422


def test_pages_load_nothing_from_elsewhere(client: Client) -> None:
    for path in ("/", "/docs"):
        page = client.http.get(path)
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        assert not any(part in page.text for part in ('src="http', 'href="http', "url(http", "@import"))
    document = client.http.get("/openapi.json").json()
    assert {*document["paths"]} == {"/compare", "/score", "/rank", "/explain", "/models", "/health", "/metrics"}
    about = client.http.get("/docs").text
    assert all(f"<code>{path}</code>" in about for path in document["paths"])
    assert client.http.get("/health").json() == {"status": "ok", "models": ["digits", "words"]}
    listed = client.http.get("/models").json()["models"]
    assert [(each["drawn"], each["levels"], each["any_size"]) for each in listed] == [
        (True, 4, False),
        (False, 0, True),
    ]


class Slow:
    """A predictor that waits until it may go on, and fails where an image is black."""

    form = ImageForm("slow", (1, 8, 8))

    def __init__(self) -> None:
        self.go, self.begun = threading.Event(), threading.Event()

    def identity(self) -> dict[str, str]:
        return {"model": "slow"}

    def logits_and_levels(self, data: Any) -> tuple[np.ndarray, None]:
        self.begun.set()
        assert self.go.wait(20)
        means = data.xa.mean((1, 2, 3)), data.xb.mean((1, 2, 3))
        if not np.all(means):
            raise RuntimeError("black")
        return means[0] - means[1], None

    def scores(self, images: Any) -> np.ndarray:
        return np.zeros(len(images))

    def ties(self, logit: np.ndarray) -> None: ...

    def calibrated(self, logit: np.ndarray) -> None: ...


@pytest.fixture
def slow() -> Slow:
    slow = Slow()
    slow.go.set()
    return slow


def grey(value: int, **more: int) -> dict[str, Any]:
    return {"left": as_png(np.full((1, 8, 8), value, np.uint8)), "right": as_png(np.full((1, 8, 8), 9, np.uint8))}


def test_a_full_queue_says_when_to_try_again(slow: Slow) -> None:
    model = Model("slow", slow)  # pyright: ignore[reportArgumentType]
    client = Client([model], Limits(images_waiting=4, answer_seconds=10))
    slow.go.clear()
    slow.begun.clear()
    with client.http, ThreadPoolExecutor(8) as pool:
        first = pool.submit(client.post, "/compare", grey(1))
        assert slow.begun.wait(10)
        waiting = [pool.submit(client.post, "/compare", grey(value)) for value in (2, 0)]
        while "twinrank_images_waiting 4.0" not in client.http.get("/metrics").text:
            pass
        refused = client.http.post("/compare", json=grey(3))
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
        slow.go.set()
        # One that fails does not fail those that it was batched with.
        assert (first.result()[0], [each.result()[0] for each in waiting]) == (200, [200, 500])
        assert waiting[0].result()[1]["logit"] == 2 - 9


def test_nothing_takes_for_ever(slow: Slow) -> None:
    model = Model("slow", slow)  # pyright: ignore[reportArgumentType]
    client = Client([model], Limits(answer_seconds=0.05, image_pixels=60, request_bytes=5_000))
    with client.http:
        assert client.post("/compare", grey(1))[1]["detail"].startswith("left: is an image of more than 60 pixels")
        assert client.post("/compare", {"left": "A" * 5_000, "right": ""})[0] == 413
    client = Client([model], Limits(answer_seconds=0.05))
    with client.http:
        slow.go.clear()
        assert client.post("/compare", grey(1))[0] == 503
        slow.go.set()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def never() -> Message:
        await asyncio.sleep(60)
        return {"type": "http.request"}

    def status(limits: Limits) -> int:
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        scope = {"type": "http", "path": "/", "headers": [(b"content-length", b"9")]}
        asyncio.run(Door(app, limits, Metrics(), [])(scope, never, send))
        return sent[0]["status"]

    assert status(Limits(request_seconds=0.01)) == 408
    assert status(Limits(bytes_at_a_time=8)) == status(Limits(requests_at_a_time=0)) == 503


def test_what_the_end_of_the_server_cuts_off_is_told_so() -> None:
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(60)

    async def send(message: Message) -> None:
        sent.append(message)

    async def cut_off() -> None:
        scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        task = asyncio.create_task(Guard(app, 1, False)(scope, None, send))  # pyright: ignore[reportArgumentType]
        await asyncio.sleep(0)
        task.cancel()
        await task

    asyncio.run(cut_off())
    assert [sent[0]["status"], json.loads(sent[1]["body"])["detail"][:15]] == [503, "the server ends"]


def test_models_have_names_of_their_own() -> None:
    with pytest.raises(InputError, match=r"^a/x: is named twice; name each model once"):
        names_of([[Path("a/x")], [Path("a/x")]])
    with pytest.raises(InputError, match=r"^b/\.\./a/x: the same model as a/x"):
        names_of([[Path("a/x")], [Path("c/x")], [Path("b/../a/x")]])
    assert names_of([[Path("a/x")], [Path("b/x"), Path("b/y")]]) == ["x", "x+y"]
