"""What would run, in words, from DVC's status."""

from tools.status import reasons, sentences

STATUS = {
    "train@mini-a": [{"changed deps": {"vidprism/training": "modified"}}, {"changed outs": {"data/runs/a": "deleted"}}],
    "train@mini-b": [{"changed deps": {"vidprism/training": "modified", "data/features": "modified"}}],
    "search@mini-a": [{"changed deps": {"params.yaml": {"profile.search.lr": "modified"}}}],
    "table@mini-1": [{"changed outs": {"reports/tables/mini/table1.html": "deleted"}}],
}
NOTEBOOKS = {"train@mini-a": "train", "train@mini-b": "train", "search@mini-a": "search", "table@mini-1": "table"}
NOTEBOOKS |= {"evaluate@mini": "evaluate", "index": "index"}


def test_what_would_run_is_said_with_the_reason() -> None:
    found = sentences(STATUS, NOTEBOOKS, ["evaluate@mini", "index", "table@mini-1"])
    assert found == [
        "2 rows would be trained again, because of: vidprism/training.",
        "1 learning rate would be searched again, because of: profile.search.lr in params.yaml.",
        "1 table would be built again, because of: its outputs are missing or changed.",
        "If their results change, these follow: 1 group of rows, 1 index.",
    ]


def test_nothing_would_run() -> None:
    assert sentences({}, NOTEBOOKS, []) == ["Nothing would run."]


def test_many_reasons_are_shortened_and_data_come_after_code() -> None:
    deps = dict.fromkeys(("vidprism/a", "vidprism/b", "vidprism/c", "vidprism/d", "data/x"), "modified")
    (found,) = sentences({"train@mini-a": [{"changed deps": deps}]}, NOTEBOOKS, [])
    assert found.endswith("because of: vidprism/a; vidprism/b; vidprism/c; 1 more.")
    assert reasons([{"changed deps": {"data/x": "modified"}}]) == ("data/x",)
    assert reasons(["changed command"]) == ("command",)
