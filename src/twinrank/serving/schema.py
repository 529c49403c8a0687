"""What requests and responses hold, as the OpenAPI document describes them."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

_SMALL = "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAIAQAAAADsdIMmAAAADElEQVR4nGNgwA8AAAgAAYV4TZ0AAAAASUVORK5CYII="
File = Annotated[
    str,
    Field(
        description="Bytes of an image file (PNG, JPEG, WebP, GIF, BMP, TIFF, AVIF, ...) in base64.",
        json_schema_extra={"format": "byte", "contentEncoding": "base64"},
        examples=[_SMALL],
    ),
]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")

    model: Annotated[str | None, Field(description="Name of a model, see /models; the first one by default.")] = None
    resize: Annotated[bool, Field(description="Whether images of another size are resized; else they are refused.")] = (
        False
    )


class Pair(BaseModel):
    """Two images."""

    model_config = ConfigDict(extra="forbid")

    left: File
    right: File


class OnePair(_Request):
    """Two images to compare."""

    left: File
    right: File


class Comparison(_Request):
    """Two images, or many pairs of images."""

    left: File | None = None
    right: File | None = None
    pairs: Annotated[list[Pair] | None, Field(min_length=1, description="Many pairs instead of one.")] = None
    levels: Annotated[bool, Field(description="Whether the response has the latent levels, too.")] = False

    @model_validator(mode="after")
    def _one_or_many(self) -> Self:
        one = self.left is not None, self.right is not None
        if (self.pairs is None and not all(one)) or (self.pairs is not None and any(one)):
            raise ValueError("give 'left' and 'right', or 'pairs' alone")
        return self


class Images(_Request):
    """Some images."""

    images: Annotated[list[File], Field(min_length=1)]


class Levels(BaseModel):
    """Probabilities of the latent levels of both images, lowest level first."""

    left: list[float]
    right: list[float]


class Compared(BaseModel):
    """The prediction for a pair."""

    probability: Annotated[
        float,
        Field(
            description="Probability that the left image ranks higher, where one of them does. That of a swapped"
            " pair is 1 minus this one, exactly, for every antisymmetric network."
        ),
    ]
    logit: Annotated[float, Field(description="Logit of the probability.")]
    tie: Annotated[float | None, Field(description="Probability of a tie; missing where ties are not modelled.")] = None
    levels: Levels | None = None


class ComparedPair(Compared):
    """The prediction for the pair of a request."""

    model: str


class ComparedPairs(BaseModel):
    """The predictions for the pairs of a request, in their order."""

    model: str
    pairs: list[Compared]


class Scores(BaseModel):
    """Scores of images in the order of the request, in logits; a higher one for an image that ranks higher."""

    model: str
    scores: list[float]


class Ranked(BaseModel):
    """An image in a ranking."""

    place: Annotated[int, Field(description="Place, from 1; images with equal scores share one.")]
    image: Annotated[int, Field(description="Number of the image in the request, from 0.")]
    score: float


class Ranking(BaseModel):
    """Images of a request, the highest first."""

    model: str
    ranking: list[Ranked]


class Explanation(BaseModel):
    """What each spot of both images contributes to the logit: the logit less that with the spot covered.

    Above 0, a spot speaks for the left image. Small images have many spots, which overlap by half; large ones have few.
    """

    model: str
    logit: Annotated[float, Field(description="Logit of the pair, as that of /compare.")]
    left: Annotated[list[list[float]], Field(description="Rows of spots, from the top.")]
    right: list[list[float]]
    left_image: Annotated[str, Field(description="The image as the network gets it: a PNG file in base64.")]
    right_image: str


class ModelInfo(BaseModel):
    """A model of this server."""

    name: str
    network: str
    channels: Annotated[int, Field(description="1 for grey, 3 for colour; files are converted.")]
    height: int
    width: int
    any_size: Annotated[bool, Field(description="Whether files of any size are taken, as in training.")]
    drawn: Annotated[bool, Field(description="Whether the page lets people draw.")]
    question: Annotated[str | None, Field(description="What people answered about its pairs, where that is known.")]
    levels: Annotated[int, Field(description="Number of latent levels; 0 for none.")]
    ties: bool
    scores: Annotated[bool, Field(description="Whether it scores single images, for /score and /rank.")]


class Models(BaseModel):
    """Models of this server, the default first."""

    models: list[ModelInfo]


class Health(BaseModel):
    """Whether the server works."""

    status: str
    models: list[str]


class Problem(BaseModel):
    """Why a request was refused: what is wrong, where, and what to do."""

    detail: str
