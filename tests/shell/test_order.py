from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.shell.order import Order


def test_the_example_of_the_docstring():
    order: Order[str] = Order()
    assert [order.draw("cam") for _ in range(3)] == [0, 1, 2]
    assert order.done("cam", 2, "c") == []
    assert order.done("cam", 0, "a") == ["a"]
    assert order.done("cam", 1, ()) == ["c"]
    assert order.waiting("cam") == 0


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.lists(st.integers(), max_size=3)), max_size=30),
    st.randoms(use_true_random=False),
)
def test_whatever_the_order_of_answers_they_leave_in_the_order_of_questions(questions, rng):
    order: Order[int] = Order()
    drawn = [(source, order.draw(source), values) for source, values in questions]
    shuffled = drawn[:]
    rng.shuffle(shuffled)
    left: dict[str, list[int]] = {"a": [], "b": []}
    for n, (source, ticket, values) in enumerate(shuffled, 1):
        left[source] += order.done(source, ticket, values)
        # Nothing that could leave is held back: what is out is exactly the unbroken run from the start.
        answered = {t for s, t, _ in shuffled[:n] if s == source}
        run = [v for s, t, vs in drawn if s == source and set(range(t + 1)) <= answered for v in vs]
        assert left[source] == run
    for source in "ab":
        assert left[source] == [v for s, _, vs in drawn if s == source for v in vs]
        assert order.waiting(source) == 0


def test_our_own_mistakes_are_loud():
    order: Order[str] = Order()
    with pytest.raises(ValueError, match="not drawn"):
        order.done("cam", 0, "x")
    order.draw("cam")
    order.done("cam", 0, "x")
    with pytest.raises(ValueError, match="done already"):
        order.done("cam", 0, "x")
