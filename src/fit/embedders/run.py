"""Embeds whole image tables, and reads back what was written."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from fit import embedders
from fit.embedders.base import Found
from fit.images import table as images
from fit.paths import whole


def _schema(dimension):
    return pa.schema(
        [
            ("image_id", pa.string()),
            ("face", pa.int32()),
            ("box", pa.list_(pa.float32(), 4)),
            ("embedding", pa.list_(pa.float32(), dimension)),
        ]
    )


def _rows(names, found, dimension):
    faces = [(name, i, face) for name, of_image in zip(names, found, strict=True) for i, face in enumerate(of_image)]
    return pa.Table.from_pydict(
        {
            "image_id": [name for name, _, _ in faces],
            "face": [i for _, i, _ in faces],
            "box": [face.box for _, _, face in faces],
            "embedding": [face.vector for _, _, face in faces],
        },
        schema=_schema(dimension),
    )


def embed_tables(backend, model, inputs, outputs, batch_size):
    """Embed every picture of the image tables `inputs` into the files `outputs`, the model loaded once.

    An output has a row per face (or per image, for embedders of whole images) with the columns image_id, face, box and
    embedding (unit float32, fixed length). Pictures without a face have no row.
    """
    embedder = embedders.load(backend, model)
    total = sum(pq.ParquetFile(path).metadata.num_rows for path in inputs)
    with tqdm(total=total, desc="embedding", unit="image", mininterval=2) as progress:
        for source, target in zip(inputs, outputs, strict=True):
            writer = None
            with whole(target) as part:
                for names, pictures in images.stream(source, batch_size):
                    found = embedder.embed_images(pictures) if pictures else []
                    dimension = next((len(face.vector) for of_image in found for face in of_image), None)
                    if dimension:
                        rows = _rows(names, found, dimension)
                        writer = writer or pq.ParquetWriter(part, rows.schema, compression="zstd")
                        writer.write_table(rows)
                    progress.update(len(names))
                if writer:
                    writer.close()
                else:
                    pq.write_table(_rows([], [], 1), part)


def embed_texts(backend, model, texts, target):
    """Write the unit vectors of `texts` to `target`, in the layout of embed_tables; image_id is the text."""
    vectors = embedders.load(backend, model).embed_texts(texts)
    found = [[Found(vector)] for vector in vectors]
    images.write(_rows(texts, found, vectors.shape[1]), target)


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
