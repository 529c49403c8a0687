"""Networks: parts, the registry, weights on disk. Importing any of it registers the networks."""

from twinrank.models import zoo as zoo
from twinrank.models.pretrained import networks as networks
