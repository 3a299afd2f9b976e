import pytest
from workplace import Workplace, shrink


@pytest.fixture
def workplace(tmp_path):
    return Workplace(tmp_path)


@pytest.fixture(scope="module")
def shrunken(tmp_path_factory):
    place = Workplace(tmp_path_factory.mktemp("atelier"))
    shrink(place)
    return place
