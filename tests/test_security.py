"""External input is not trusted: names in pages, paths and commands; files with code; the network."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fake_results import fake_config
from vidprism import datasets
from vidprism.datasets import DatasetError, Video
from vidprism.report.render import render_page

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted([*(ROOT / "vidprism").rglob("*.py"), *(ROOT / "tools").glob("*.py")])
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "$(touch ran)",
    "`touch ran`",
    "; touch ran #",
    "a' || touch ran || '",
    "{{ 7 * 7 }}",
    "-rf",
    "name\nwith a line",
    "\u202egpj.avi",
]


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_no_shell_and_nothing_unpickled(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        assert given.get("shell", "False") == "False" and name not in ("os.system", "os.popen"), ast.unparse(node)
        assert name not in ("eval", "pickle.load", "pickle.loads", "yaml.load", "joblib.load"), ast.unparse(node)
        if name == "torch.load":
            assert given.get("weights_only") == "True", ast.unparse(node)
        if name == "np.load":
            assert given.get("allow_pickle", "False") == "False", ast.unparse(node)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_text_in_a_page(name: str, tmp_path: Path) -> None:
    """Titles, labels and reasons reach a page through one renderer, which escapes them."""
    config = fake_config(tmp_path, "rehearsal")
    page = {"ran": [], "planned": [], "title": name, "version": "1"}
    text = render_page("rehearsal", config, "tables/x/rehearsal.html", **page)
    assert text.lower().count("<script") == 1 and "<img" not in text.lower(), "the page's own script only"
    assert "49" not in text.split("<body")[0] or "7 * 7" in text, "a name is no template"


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "a/../../b.avi", "..\\..\\b.avi/../../c"])
def test_a_path_that_leaves_the_dataset_is_refused(path: str) -> None:
    with pytest.raises(DatasetError):
        Video("id", path, 0, "class", "train", None)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_class_name_goes_through_a_custom_list(name: str, tmp_path: Path) -> None:
    """Names are data from the list to the manifest: nothing runs, nothing is written elsewhere."""
    lines = ["path,label,split"]
    for split in ("train", "test"):
        video = tmp_path / "videos" / f"{split}.avi"
        video.parent.mkdir(exist_ok=True)
        video.write_bytes(b"")
        quoted = name.replace('"', '""')
        lines.append(f'{split}.avi,"{quoted}",{split}')
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "videos.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    before = set(tmp_path.rglob("*"))
    try:
        found = datasets.load_dataset("custom").list_videos(tmp_path, 1)
    except DatasetError as error:
        assert str(error)  # refused, with words
    else:
        assert {v.class_name for v in found} == {name}
    assert set(tmp_path.rglob("*")) == before and not (ROOT / "ran").exists()


def test_the_network_guard_of_the_tests_works(tmp_path: Path) -> None:
    log = tmp_path / "network"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests" / "no_network"), "NETWORK_LOG": str(log)}
    for program in (
        "import socket; socket.create_connection(('192.0.2.1', 80), 1)",
        "import socket; socket.create_connection(('example.org', 80), 1)",
    ):
        assert subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True).returncode
    assert log.read_text().splitlines() == ["192.0.2.1:80", "name of example.org"]
