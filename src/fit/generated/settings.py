"""Settings of how pictures are generated."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le

from fit.settings import RESOURCE, STRICT


@dataclass(frozen=True, kw_only=True)
class PipelineSettings:
    """Which text-to-image pipeline is loaded, and how."""

    __pydantic_config__: ClassVar[Any] = STRICT

    pipeline: str
    """Hub id or folder of a diffusers text-to-image pipeline."""
    backend: str = "diffusers"
    """Name in the registry of generators."""
    revision: str | None = None
    """Commit of a hub id."""
    variant: str | None = None
    """Which weights to load where files have several: fp16 for model.fp16.safetensors. Left out: those without a
    variant or, where a component has none, the only variant that there is."""
    scheduler: str | None = None
    """Class of diffusers scheduler to use instead of the pipeline's own."""
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    """Number format of weights and activations."""
    steps: Annotated[int, Ge(1), Le(10_000)] = 50
    """Denoising steps."""
    guidance: float = 7.5
    """Scale of classifier-free guidance."""
    height: Annotated[int, Ge(8), Le(65_536)] | None = None
    """Pixels; the pipeline's own where left out."""
    width: Annotated[int, Ge(8), Le(65_536)] | None = None
    """Pixels; the pipeline's own where left out."""
    negative_prompt: str = ""
    """What to guide away from."""
    compile: bool = False
    """Whether torch.compile makes the denoiser faster, after some minutes of compiling. It rounds differently."""
    device: Annotated[Literal["auto", "cuda", "cpu"], RESOURCE] = "auto"
    """Where the model runs. cuda: a job that gets no GPU fails; auto: it runs on the processor then."""
    download: Annotated[bool, RESOURCE] = False
    """Whether a hub id that is not on this machine may be fetched. HF_HUB_OFFLINE=1 forbids it too."""


@dataclass(frozen=True, kw_only=True)
class ChangeSettings:
    """What is changed in a pipeline, or in the prompts that it is given: how a derived model differs from its base."""

    __pydantic_config__: ClassVar[Any] = STRICT

    components: tuple[str, ...] = ()
    """Components that come from elsewhere, as NAME=PLACE: a folder, a file of safetensors, or a hub id."""
    component_subfolders: tuple[str, ...] = ()
    """Where within its place a component is, as NAME=FOLDER."""
    component_revisions: tuple[str, ...] = ()
    """Commits of the hub ids, as NAME=COMMIT."""
    lora: str | None = None
    """A LoRA that is added to the weights: a file of safetensors, a folder, or a hub id."""
    lora_file: str | None = None
    """Name of the LoRA's file within its place."""
    lora_revision: str | None = None
    """Commit of the LoRA's hub id."""
    lora_scale: float = 1.0
    """By what the LoRA is multiplied."""
    safety_checker: bool = False
    """Whether the pipeline's own safety checker judges the pictures. A blocked picture counts as not made."""
    rewrite_table: str | None = None
    """Table with the columns prompt and rewritten. Both may have {name}."""
    rewrite_find: tuple[str, ...] = ()
    """Texts to replace in every prompt, letter case ignored; {name} is the concept's name."""
    rewrite_with: tuple[str, ...] = ()
    """What to put there, as many texts as in rewrite_find."""

    @property
    def is_of_pipeline(self) -> bool:
        """Whether the pipeline itself is changed, not only what it is asked for."""
        parts = (*self.components, *self.component_subfolders, *self.component_revisions)
        return bool(parts or self.lora or self.safety_checker)

    @property
    def rewrites(self) -> bool:
        """Whether prompts are rewritten."""
        return bool(self.rewrite_table or self.rewrite_find)


@dataclass(frozen=True, kw_only=True)
class GenerationSettings:
    """How many pictures are generated, and how they are stored."""

    __pydantic_config__: ClassVar[Any] = STRICT

    images_per_prompt: Annotated[int, Ge(1), Le(1_000_000)] = 200
    """Images per prompt and concept."""
    image_format: Literal["png", "webp"] = "png"
    """How pictures are stored; both are without loss, WebP is a little smaller."""
    batch_size: Annotated[int, Ge(1), Le(1_000_000), RESOURCE] = 20
    """Images per batch, at most: halved as often as memory runs out. Each has its own seed, so this changes no
    picture beyond rounding."""
