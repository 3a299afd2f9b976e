"""How well dlib tells people apart, on faces that packages hold: `python benchmarks/faces.py`.

The people are those of scikit-image's `lfw_subset` (25 x 25 pixels each, of Labeled Faces in the Wild), one photograph
each. Pairs of one person are a photograph and a changed copy of it, which is easier than two photographs.
With a folder that holds a folder of photographs for each person, the pairs of that folder are also measured.
"""

import argparse
from itertools import combinations
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps
from skimage import data

from fit import embeddings
from fit.embeddings.settings import EmbedderSettings, FaceSettings
from fit.matches.threshold import find_match_threshold


def lfw(number: int) -> Image.Image:
    """Return a face of LFW, RGB [230, 230]: enlarged six times, in a grey frame."""
    face = Image.fromarray(np.uint8(data.lfw_subset()[number] * 255)).resize((150, 150), Image.Resampling.BICUBIC)
    picture = Image.new("L", (230, 230), 128)
    picture.paste(face, (40, 40))
    return picture.convert("RGB")


def changed(picture: Image.Image) -> list[Image.Image]:
    """Return copies of a picture: mirrored, darker, blurred."""
    return [
        ImageOps.mirror(picture),
        ImageEnhance.Brightness(picture).enhance(0.6),
        picture.filter(ImageFilter.GaussianBlur(1.5)),
    ]


def line(name: str, same: np.ndarray, other: np.ndarray) -> str:
    """Return a row of the table: how two sets of cosines lie apart."""
    found = find_match_threshold(same, other, "best_f1")
    numbers = [np.quantile(same, 0), np.median(same), np.median(other), np.quantile(other, 0.99), np.max(other)]
    shown = " | ".join(f"{number:.3f}" for number in numbers)
    return (
        f"| {name} | {len(same)} | {len(other)} | {shown} | {found['roc_auc']:.4f} | "
        f"{found['equal_error_rate']:.4f} | {np.mean(other > 0.91):.4f} |"
    )


def main() -> None:
    """Print the table of docs/embeddings.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, help="a folder with a folder of photographs for each person")
    parser.add_argument("--people", type=int, default=100, help="of lfw_subset (default: 100, which are all)")
    args = parser.parse_args()
    settings = EmbedderSettings(model="face_recognition_models")
    embedder = embeddings.load("dlib", settings, FaceSettings())

    def vectors(pictures: list[Image.Image]) -> list[np.ndarray]:
        found = embedder.embed([embedder.prepare(picture) for picture in pictures])
        return [faces[0].vector for faces in found if len(faces) == 1]

    print("| faces | pairs of one person | of two | lowest of one | median | median of two | 99 % | highest |", end="")
    print(" ROC AUC | equal error rate | share of two above 0.91 |")
    print("| --- |" + " ---: |" * 10)
    people = [found for number in range(args.people) if len(found := vectors([lfw(number)])) == 1]
    strangers = np.stack([found[0] for found in people])
    first, second = np.triu_indices(len(strangers), 1)
    other = np.sum(strangers[first] * strangers[second], axis=1)
    same = []
    for number in range(args.people):
        own = vectors([lfw(number)])
        same += [float(own[0] @ copy) for copy in vectors(changed(lfw(number)))] if own else []
    print(line(f"{len(people)} of lfw_subset, changed copies", np.array(same), other))
    if args.folder:
        of_folder = {
            place.name: vectors([Image.open(path).convert("RGB") for path in sorted(place.iterdir())])
            for place in sorted(args.folder.iterdir())
        }
        same = [float(one @ two) for found in of_folder.values() for one, two in combinations(found, 2)]
        pairs = combinations(of_folder.values(), 2)
        other = np.array([float(one @ two) for left, right in pairs for one in left for two in right])
        print(line(f"{sum(map(len, of_folder.values()))} of {args.folder.name}", np.array(same), other))


if __name__ == "__main__":
    main()
