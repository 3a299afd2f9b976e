"""A study that enters the road half-way takes a job a stage, and the same scores whatever concepts share a job."""

import sys

import polars as pl
import pytest
import yaml
from workplace import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))
from halfway import make_study

TABLE = "results/scores/my-model/people.parquet"


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("halfway")
    make_study(folder, people=4, pictures=5)
    return folder


@pytest.fixture
def study(workplace, inputs):
    for path in inputs.iterdir():
        # The workplace writes a config.yaml of its own: through a link it would change the project's.
        if path.name not in ("config.yaml", "concepts"):
            (workplace.folder / path.name).symlink_to(path)
    for key, value in yaml.safe_load((inputs / "mine.yaml").read_text()).items():
        workplace.config[key] = workplace.config[key] | value if isinstance(value, dict) else value
    return workplace


def test_every_stage_is_one_job(study):
    planned = study.planned()
    several = {name: count for name, count in planned.items() if count > 1 and name != "total"}
    assert set(several) <= {"embed_images"}  # of references, and of generated images
    assert planned["total"] <= 25
    one = "results/scores/my-model/people/person-03.parquet"
    study.run(TABLE)
    assert study.planned("-f", one) == {"score_imitation": 1, "total": 1}
    assert study.planned(TABLE) == {}
    before = pl.read_parquet(study.folder / TABLE)
    study.config["domains"]["people"]["concepts_per_job"] = 3
    study.run("--forcerun", "score_imitation", "--", TABLE)
    after = pl.read_parquet(study.folder / TABLE)
    assert after["concept"].to_list() == before["concept"].to_list()
    # Pictures are embedded in other batches then, which rounds differently.
    assert after["score"].to_list() == pytest.approx(before["score"].to_list(), abs=1e-5)
