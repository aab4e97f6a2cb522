from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.domain.lines import clean_text, is_telling, read_lines, tell_apart

PIECES = st.sampled_from(
    [
        "\n<!-- a hint\nof two lines -->\n",
        "```",
        "~~~",
        "\n",
        " ",
        "# Cause",
        "The pod died.",
        "| a | b |",
        "|---|---|",
        "> quoted",
        "**Fix**",
        "2025-05-20T07:40:00.137Z ERROR [router-0] failed req=d8f191b7584a",
        "2025-05-20T07:40:02.001Z ERROR [router-1] failed",
    ]
)
TEXTS = st.lists(PIECES, max_size=30).map("".join)


@given(TEXTS)
def test_lines_are_in_order_and_hold_every_word(text: str) -> None:
    lines = tell_apart(text)

    assert all(before.end <= after.start for before, after in itertools.pairwise(lines))
    assert "".join("".join(text[line.start : line.end].split()) for line in lines) == "".join(text.split())


@given(TEXTS)
def test_a_clean_text_has_the_lines_that_are_read(text: str) -> None:
    cleaned = clean_text(text)

    read = ["".join(text[line.start : line.end].split()) for line in read_lines(text)]
    assert ["".join(cleaned[line.start : line.end].split()) for line in read_lines(cleaned)] == read


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("# Postmortem: the router failed", "heading"),
        ("## 概要", "heading"),
        ("**Root cause:**", "heading"),
        ("**What happened**", "heading"),
        ("Root cause", "heading"),
        ("What went wrong and why?", "heading"),
        ("h2. Summary", "heading"),
        ("== Summary ==", "heading"),
        ("【原因】", "heading"),
        ("Zusammenfassung", "heading"),
        ("<!-- e.g. a bad deploy -->", "comment"),
        ("_Describe the impact on customers_", "comment"),
        ("[Describe what happened here]", "comment"),
        ("- [x] I am running the latest code.", "comment"),
        ("_No response_", "comment"),
        ("```python", "fence"),
        ("---", "fence"),
        ("|---|:--:|", "fence"),
        ("<details>", "fence"),
        ("2025-05-20T07:40:00.137Z ERROR [router-0] upstream timeout after 30000ms", "log"),
        ("2025-05-20 07:40:11,123 INFO  Deployed config rollback-safe=true", "log"),
        ("May 20 07:40:11 host-1 kubelet[812]: evicted the pod", "log"),
        ("ERROR 01-10 21:49:05 engine.py:366] CUDA error", "log"),
        ("(EngineCore_0 pid=12) ERROR 01-10 21:49:05 [core.py:58] failed", "log"),
        ("[ERROR] could not connect", "log"),
        ("E0520 07:40:11.123456       1 controller.go:12] failed", "log"),
        ('{"level":"error","msg":"no space left"}', "log"),
        ("Traceback (most recent call last):", "log"),
        ("torch.OutOfMemoryError: CUDA out of memory", "log"),
        ("    at com.example.Router.route(Router.java:12)", "log"),
        ("llama_model_load: failed to open the file", "log"),
        ("| 10:40 | Rolled back to 4.7 | M. |", "table"),
        ("> Customers saw errors.", "quote"),
        ("The router failed.", "prose"),
        ("09:12 UTC: Alerts fired and on-call looked at the router.", "prose"),
        ("2024-07-13T03:50:00Z Update: We are waiting for our provider.", "prose"),
        ("**Severity:** SEV-2", "prose"),
        ("- rolled back", "prose"),
        ("Errors of the router rose to 5%.", "prose"),
    ],
)
def test_lines_are_told_apart(line: str, kind: str) -> None:
    assert [each.kind for each in tell_apart(f"The title.\n\n{line}\n")] == ["prose", kind]


def test_what_stands_between_fences_is_a_log_and_a_fence_that_is_not_closed_has_none() -> None:
    assert [line.kind for line in tell_apart("```\nmake: failed\n```\nWe rebuilt it.\n```\nIt ended.")] == [
        "fence",
        "log",
        "fence",
        "prose",
        "fence",
        "prose",
    ]


def test_the_lines_of_a_stack_trace_are_log_lines() -> None:
    trace = 'Traceback (most recent call last):\n  File "a.py", line 1\n    raise run()\n       ^^^\nValueError: no'

    assert [line.kind for line in tell_apart(f"{trace}\nIt fails.")] == [*["log"] * 5, "prose"]


def test_the_row_above_a_ruler_and_an_underlined_line_are_headings() -> None:
    assert [line.kind for line in tell_apart("| Time | Event |\n|---|---|\n| 1 | 2 |\n\nWhat we saw\n===")] == [
        "heading",
        "fence",
        "table",
        "heading",
        "fence",
    ]


def test_log_lines_that_differ_in_numbers_only_are_read_once() -> None:
    log = [f"2025-05-20T07:40:{n:02}.137Z ERROR [router-{n}] timeout req=d8f19{n}b7584a" for n in range(20)]
    text = "\n".join(["The router failed.", *log, "We moved the pods."])

    assert [text[line.start : line.end] for line in read_lines(text)] == [
        "The router failed.",
        log[0],
        "We moved the pods.",
    ]
    assert [line for line in clean_text(text).splitlines() if line.strip()] == [
        "The router failed.",
        log[0],
        "We moved the pods.",
    ]


def test_a_comment_is_read_by_nobody_even_within_a_line() -> None:
    text = "<!-- Delete this.\nRollback? -->\n# Title\nWe renewed <!-- e.g. restart --> it."

    assert "Rollback" not in clean_text(text)
    assert [text[line.start : line.end] for line in read_lines(text)] == ["# Title", "We renewed ", " it."]


def test_a_text_of_comments_alone_is_read_as_it_is() -> None:
    assert [line.kind for line in read_lines("<!-- The router failed. -->")] == ["prose"]
    assert clean_text("<!-- The router failed. -->") == "<!-- The router failed. -->"


def test_a_comment_that_is_not_closed_hides_nothing() -> None:
    assert [line.kind for line in read_lines("Errors.\n<!-- The router failed.\nWe restarted it.")] == ["prose"] * 3


def test_a_log_line_is_telling_if_it_names_an_exception_or_a_resource() -> None:
    assert is_telling("torch.OutOfMemoryError: CUDA out of memory")
    assert is_telling("kernel: no space left on device")
    assert not is_telling("INFO  Deployed config rollback-safe=true retries=3 timeout=30s")
    assert not is_telling("ERROR [router-3] request failed")


@pytest.mark.parametrize("filler", ["<!--", "```\n", "| a ", "**", "a_", "[", "0:00:00", "(", " \n", "- "])
def test_no_text_takes_long(filler: str) -> None:
    began = time.perf_counter()
    clean_text(filler * (300_000 // len(filler)))
    assert time.perf_counter() - began < 10
