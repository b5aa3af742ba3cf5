import gc

import pytest

from deployments.loading import loading

pytestmark = pytest.mark.tooling("shows how programs start quickly, and no rule of the trial")


def test_no_garbage_is_looked_for_while_a_package_is_loaded_and_it_is_afterwards() -> None:
    with loading():
        assert not gc.isenabled()
        made: list[list[int]] = [[] for _ in range(1000)]
    assert gc.isenabled()
    looked_at = {id(each) for each in gc.get_objects()}
    assert not any(id(each) in looked_at for each in made)


def test_garbage_is_looked_for_after_a_package_that_could_not_be_loaded() -> None:
    with pytest.raises(ImportError), loading():
        raise ImportError
    assert gc.isenabled()
