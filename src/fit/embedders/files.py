"""Files of embeddings: a row per face, or per image. Imports no torch, so that whoever compares vectors starts fast."""

import numpy as np
import pyarrow as pa

from fit.images import table as images


def schema(dimension):
    """The Arrow schema of embeddings of `dimension` numbers.

    `box` (left, top, right, bottom), `area` (of the box, pixels squared), `probability` and `landmarks` (x and y of
    five points) are null where whole images were embedded; fit.embedders.base.Found says what they mean.
    """
    return pa.schema(
        [
            ("image_id", pa.string()),
            ("face", pa.int32()),
            ("box", pa.list_(pa.float32(), 4)),
            ("area", pa.float32()),
            ("probability", pa.float32()),
            ("landmarks", pa.list_(pa.float32(), 10)),
            ("embedding", pa.list_(pa.float32(), dimension)),
        ]
    )


def rows(names, found, dimension):
    """Arrow table of `found` (a list of fit.embedders.base.Found per image of `names`), with the schema above."""
    faces = [(name, i, face) for name, of_image in zip(names, found, strict=True) for i, face in enumerate(of_image)]
    return pa.Table.from_pydict(
        {
            "image_id": [name for name, _, _ in faces],
            "face": [i for _, i, _ in faces],
            "box": [face.box for _, _, face in faces],
            "area": [face.box and (face.box[2] - face.box[0]) * (face.box[3] - face.box[1]) for _, _, face in faces],
            "probability": [face.probability for _, _, face in faces],
            "landmarks": [None if face.landmarks is None else np.ravel(face.landmarks) for _, _, face in faces],
            "embedding": [face.vector for _, _, face in faces],
        },
        schema=schema(dimension),
    )


def read_embeddings(path):
    """Read a file of embeddings.

    Returns:
        (image_ids, vectors): [N] array of strings and [N, D] float32, one a face or image; D is 0 where there is none.
    """
    table = images.read(path, ["image_id", "embedding"])
    names = np.asarray(table.column("image_id").to_pylist(), dtype=object)
    if not len(names):
        return names, np.zeros((0, 0), np.float32)
    flat = table.column("embedding").combine_chunks().values.to_numpy(zero_copy_only=False)
    return names, flat.reshape(len(names), -1)


def read_single_faces(path):
    """As read_embeddings, but only images with exactly one face (every image, where whole images were embedded)."""
    names, vectors = read_embeddings(path)
    once, counts = np.unique(names.astype(str), return_counts=True)
    single = np.isin(names.astype(str), once[counts == 1])
    return names[single], vectors[single]
