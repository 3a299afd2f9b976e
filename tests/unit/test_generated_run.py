"""The table of generated pictures: several concepts, jobs that stop and go on, a full disk."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time

import pyarrow.parquet as pq
import pytest
from generating import (
    ADA,
    BRUNO,
    Scripted,
    command,
    generate,
    noise,
    save_small_pipeline,
    stopping_after,
)

from fit.cli.main import main
from fit.errors import ModelError, SpaceError, StoppedError
from fit.generated import parts as parts_module
from fit.generated import run
from fit.generated.base import GeneratedImage
from fit.images import table
from fit.io import parquet
from fit.io.concept_tables import concepts_in
from fit.io.files import MARK


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    return save_small_pipeline(tmp_path_factory.mktemp("sd") / "pipeline")


def test_several_concepts_are_one_table_of_row_groups_of_one_concept(tmp_path):
    path, statuses = generate(Scripted(), tmp_path / "both", [BRUNO, ADA], images_per_prompt=50)
    assert statuses == {"bruno-morvek": {"ok": 100}, "ada-morvek": {"ok": 100}}
    assert concepts_in(path) == ["bruno-morvek", "ada-morvek"]
    found = parquet.read(path)
    assert found.schema.names == table.GENERATED.names
    assert found.column("concept").to_pylist() == ["bruno-morvek"] * 100 + ["ada-morvek"] * 100
    file = pq.ParquetFile(path)
    groups = [file.read_row_group(i, ["concept"]).column("concept").to_pylist() for i in range(file.num_row_groups)]
    assert all(len(set(group)) == 1 for group in groups)
    for start, concept in ((0, BRUNO), (100, ADA)):
        alone, _ = generate(Scripted(), tmp_path / concept.slug, [concept], images_per_prompt=50)
        assert found.slice(start, 100).equals(parquet.read(alone))


class OfAnotherPackage(Scripted):
    """A generator whose answers are what `answer` makes of the right ones."""

    def __init__(self, answer):
        super().__init__()
        self._answer = answer

    def generate(self, prompts, seeds):
        return self._answer(super().generate(prompts, seeds))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda images: images[:-1], "returned 3 pictures for 4 prompts"),
        (lambda images: [*images, images[0]], "returned 5 pictures for 4 prompts"),
        (lambda images: [GeneratedImage("ok", image.pixels / 255) for image in images], "pixels are float64"),
        (lambda images: [GeneratedImage("ok", image.pixels[..., 0]) for image in images], r"shape \[4, 4\]"),
        (lambda images: [GeneratedImage("ok") for _ in images], "'ok' whose pixels are None"),
    ],
)
def test_a_generator_that_returns_something_else_than_a_picture_a_prompt_is_named(tmp_path, answer, said):
    with pytest.raises(ModelError, match=f"the generator OfAnotherPackage returned .*{said.removeprefix('returned ')}"):
        generate(OfAnotherPackage(answer), tmp_path)
    assert not (tmp_path / "pictures.parquet").exists()


# --- going on ---------------------------------------------------------------------------------------------------------


def test_what_was_finished_survives_an_error_and_is_not_made_again(tmp_path):
    whole, _ = generate(Scripted(), tmp_path / "whole", images_per_prompt=10)
    with pytest.raises(KeyboardInterrupt):
        generate(Scripted(stopping_after(11, KeyboardInterrupt)), tmp_path / "a", images_per_prompt=10)
    assert not (tmp_path / "a" / "pictures.parquet").exists()
    again = Scripted()
    path, _ = generate(again, tmp_path / "a", images_per_prompt=10)
    assert len(again.seeds) == 12  # two batches of four had been finished
    assert parquet.read(path).equals(parquet.read(whole))
    assert [entry.name for entry in (tmp_path / "a" / ".generated").iterdir()] == [MARK]


def test_the_table_is_whole_before_anything_is_forgotten(tmp_path):
    make = stopping_after(20 + 7, KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        generate(Scripted(make), tmp_path, [ADA, BRUNO], images_per_prompt=10)
    again = Scripted()
    generate(again, tmp_path, [ADA, BRUNO], images_per_prompt=10)
    assert len(again.seeds) == 40 - 24


def test_the_model_is_not_loaded_where_everything_is_finished(tmp_path, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(OSError, match="no more"):
        patch.setattr(run, "assemble", lambda *_: (_ for _ in ()).throw(OSError("no more")))
        generate(Scripted(), tmp_path)
    again = Scripted()
    path, _ = generate(again, tmp_path)
    assert (again.loads, again.seeds) == (0, [])
    assert len(parquet.read(path)) == 6


@pytest.mark.parametrize("changed", [{"study_seed": 2}, {"prompts": ["{name}"]}, {"image_format": "webp"}])
def test_pictures_of_other_settings_are_not_taken(tmp_path, changed):
    with pytest.raises(KeyboardInterrupt):
        generate(Scripted(stopping_after(8, KeyboardInterrupt)), tmp_path, images_per_prompt=10)
    again = Scripted()
    path, _ = generate(again, tmp_path, images_per_prompt=10, **changed)
    assert len(again.seeds) == len(parquet.read(path))


def test_pictures_of_another_model_are_not_taken(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        generate(Scripted(stopping_after(8, KeyboardInterrupt)), tmp_path, images_per_prompt=10)
    again = Scripted(identity="another")
    generate(again, tmp_path, images_per_prompt=10)
    assert len(again.seeds) == 20


def test_a_damaged_part_is_made_again_with_those_after_it(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        generate(Scripted(stopping_after(150, KeyboardInterrupt)), tmp_path, images_per_prompt=100)
    parts = sorted((tmp_path / ".generated" / "ada-morvek").rglob("*.parquet"))
    assert [part.name for part in parts] == ["000000.parquet", "000064.parquet", "000128.parquet"]
    parts[1].write_bytes(parts[1].read_bytes()[:-9])
    again = Scripted()
    path, _ = generate(again, tmp_path, images_per_prompt=100)
    assert len(again.seeds) == 200 - 64
    assert len(parquet.read(path)) == 200


def test_provenance_names_what_differed_between_runs(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        generate(Scripted(stopping_after(8, KeyboardInterrupt)), tmp_path, images_per_prompt=10)
    again = Scripted()
    again.load()
    path, _ = generate(again, tmp_path, images_per_prompt=10)
    assert table.provenance(path) == {"pipeline": "scripted", "loads": 1, "also": [{"loads": 2}]}


@pytest.fixture
def sheet(tmp_path):
    path = tmp_path / "sheet.tsv"
    path.write_text("concept\tname\nada-morvek\tAda Morvek\n")
    return path


@pytest.mark.slow
def test_sigterm_ends_a_job_after_its_batch_and_the_next_goes_on_to_the_same_bytes(pipeline, sheet, tmp_path):
    whole, stopped = tmp_path / "whole" / "ada-morvek.parquet", tmp_path / "stopped" / "ada-morvek.parquet"
    assert main(command(pipeline, sheet, whole)) == 0
    # A part per batch, so that the first of them tells that the job is under way, not that it nearly ends.
    script = (
        "import sys; from fit.cli.main import main; from fit.generated import run; "
        "run._PART_PICTURES = 5; sys.exit(main(sys.argv[1:]))"
    )
    arguments = [sys.executable, "-c", script, *command(pipeline, sheet, stopped)]
    # As the rule does it, and as a scheduler does: the signal goes to every process of the job.
    shell = "set -euo pipefail; trap '' TERM; \"$@\" 2>&1 | tee log"
    process = subprocess.Popen(
        ["bash", "-c", shell, "bash", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        start_new_session=True,
    )
    deadline = time.monotonic() + 300
    parts = stopped.parent / ".generated"
    while not any(parts.rglob("000000.parquet")):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()[0]
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGTERM)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 1, said
    assert "fit: stopped by SIGTERM after" in said and "run again to go on" in said
    assert said == (tmp_path / "log").read_text()
    assert "Traceback" not in said
    assert not stopped.exists()
    kept = sum(pq.read_metadata(part).num_rows for part in parts.rglob("*.parquet"))
    assert 0 < kept < 60 and kept % 5 == 0
    assert main(command(pipeline, sheet, stopped)) == 0
    assert parquet.read(stopped).equals(parquet.read(whole))
    assert not any(parts.rglob("*.parquet"))


def test_sigterm_is_an_error_of_its_own_and_the_handler_is_put_back(tmp_path):
    def make(seed):
        os.kill(os.getpid(), signal.SIGTERM)
        return noise(seed)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(StoppedError, match=r"after 4 of 6 pictures; they are kept"):
        generate(Scripted(make), tmp_path)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_thread_that_may_not_handle_signals_generates_too(tmp_path):
    thread = threading.Thread(target=generate, args=(Scripted(), tmp_path))
    thread.start()
    thread.join()
    assert len(parquet.read(tmp_path / "pictures.parquet")) == 6


# --- a full disk ------------------------------------------------------------------------------------------------------


def test_a_full_disk_is_named_and_what_was_written_is_kept(tmp_path, monkeypatch):
    write, left = parts_module.pq.write_table, [1]

    def full(rows, path, **options):
        if not left:
            raise OSError(errno.ENOSPC, "No space left on device")
        left.pop()
        write(rows, path, **options)

    with monkeypatch.context() as patch, pytest.raises(SpaceError, match=r"\.generated/ada-morvek.*free some and run"):
        patch.setattr(parts_module.pq, "write_table", full)
        generate(Scripted(), tmp_path, images_per_prompt=100)
    again = Scripted()
    generate(again, tmp_path, images_per_prompt=100)
    assert len(again.seeds) == 200 - 64


def test_a_disk_that_is_full_when_the_table_is_written(tmp_path, monkeypatch):
    class Full(pq.ParquetWriter):
        def write_table(self, *args, **kwargs):
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(SpaceError, match=r"pictures\.parquet: no space left"):
        patch.setattr(parts_module.pq, "ParquetWriter", Full)
        generate(Scripted(), tmp_path)
    assert not (tmp_path / "pictures.parquet").exists()
    again = Scripted()
    generate(again, tmp_path)
    assert again.loads == 0


def test_other_errors_of_the_disk_stay_what_they_are():
    with pytest.raises(PermissionError), parts_module.space("here"):
        raise PermissionError(errno.EACCES, "Permission denied")


@pytest.mark.parametrize("image_format", ["png", "webp"])
def test_threads_that_save_pictures_import_nothing(image_format):
    """A thread that imports while the generator imports too may wait forever for the lock of imports."""
    code = f"""
import sys, threading
import numpy as np
from fit.generated import run
from fit.generated.base import GeneratedImage
image = GeneratedImage.judged(np.arange(48, dtype=np.uint8).reshape(4, 4, 3))
with run._Saver({image_format!r}, dict) as saver:
    before = set(sys.modules)
    saved = list(saver._encoders.map(saver._encode, [{{}}] * 8, [image] * 8))
    print(len([row for row in saved if row["bytes"]]), sorted(name for name in set(sys.modules) - before))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split(maxsplit=1) == ["8", "[]\n"], done.stdout
