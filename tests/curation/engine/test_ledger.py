"""The ledger keeps count of its units, whatever is recorded over what and forgotten."""

from collections import Counter

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kangaroo.curation.engine.ledger import Ledger, State, Unit

WORK = st.tuples(st.sampled_from("ab"), st.integers(0, 3), st.sampled_from(State), st.booleans())


@given(st.lists(WORK, max_size=20))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_counts_are_those_of_the_units_that_are_there(tmp_path_factory, work):
    units: dict[tuple[str, str], State] = {}
    with Ledger(tmp_path_factory.mktemp("run") / "ledger.sqlite") as ledger:
        for signature, number, state, is_forgotten in work:
            if is_forgotten:
                expected = [key for key, one in units.items() if key[0] == signature and one is state]
                assert ledger.forget(signature, state) == len(expected)
                units = {key: one for key, one in units.items() if key not in expected}
            else:
                ledger.record([Unit(signature=signature, subject=str(number), state=state, told="{}")])
                units[signature, str(number)] = state
        for signature in "ab":
            assert ledger.counts(signature) == Counter(one for key, one in units.items() if key[0] == signature)
