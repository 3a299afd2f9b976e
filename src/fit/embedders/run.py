"""Embeds whole image tables."""

import pyarrow.parquet as pq
from tqdm import tqdm

from fit import embedders
from fit.embedders import files
from fit.embedders.base import Found, Weights
from fit.images import table as images
from fit.paths import whole


def embed_tables(backend, model, inputs, outputs, batch_size):
    """Embed every picture of the image tables `inputs` into the files `outputs`, the model loaded once.

    An output has a row per face (or per image, for embedders of whole images) with the schema of fit.embedders.files.
    Pictures without a face have no row.
    """
    embedder = embedders.load(backend, Weights(model))
    total = sum(pq.ParquetFile(path).metadata.num_rows for path in inputs)
    with tqdm(total=total, desc="embedding", unit="image", mininterval=2) as progress:
        for source, target in zip(inputs, outputs, strict=True):
            writer = None
            with whole(target) as part:
                for names, pictures in images.stream(source, batch_size):
                    found = embedder.embed([embedder.prepare(picture) for picture in pictures]) if pictures else []
                    dimension = next((len(face.vector) for of_image in found for face in of_image), None)
                    if dimension:
                        table = files.rows(names, found, dimension)
                        writer = writer or files.writer(part, dimension)
                        writer.write_table(table)
                    progress.update(len(names))
                if writer:
                    writer.close()
                else:
                    pq.write_table(files.rows([], [], 1), part)


def embed_texts(backend, model, texts, target):
    """Write the unit vectors of `texts` to `target`, in the layout of embed_tables; image_id is the text."""
    vectors = embedders.load(backend, Weights(model)).embed_texts(texts)
    found = [[Found(vector)] for vector in vectors]
    images.write(files.rows(texts, found, vectors.shape[1]), target)
