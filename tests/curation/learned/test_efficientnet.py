"""Our EfficientNet-lite0 gives what the published one does, on its published weights."""

import subprocess
import sys

import pytest
import torch
from published import published

from kangaroo.curation.learned.networks.efficientnet import EfficientNet
from kangaroo.curation.measures.models import OBJECTS, find_weights


def pictures():
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randint(0, 256, (5, 7, 7, 3), generator=generator, dtype=torch.uint8)
    return coarse.repeat_interleave(32, dim=1).repeat_interleave(32, dim=2)


def test_probabilities_are_those_of_the_published_network():
    chances = EfficientNet.load(find_weights(OBJECTS))(pictures())
    assert chances.sum(dim=1).tolist() == pytest.approx([1.0] * 5)
    # computed by efficientnet-lite-pytorch 0.1.0
    assert chances.argmax(dim=1).tolist() == [623, 844, 844, 446, 446]
    assert chances.amax(dim=1).tolist() == pytest.approx([0.00972, 0.00866, 0.01039, 0.00978, 0.01018], abs=2e-5)


@pytest.mark.long
def test_every_probability_is_that_of_the_published_network(tmp_path):
    package = published("efficientnet-lite-pytorch==0.1.0", tmp_path)
    program = (
        "import sys, torch\n"
        "from efficientnet_lite_pytorch import EfficientNet\n"
        "network = EfficientNet.from_pretrained('efficientnet-lite0', weights_path=sys.argv[2]).eval()\n"
        "pictures = torch.load(sys.argv[1])\n"
        "with torch.no_grad():\n"
        "    chances = network((pictures.permute(0, 3, 1, 2) - 127.0) / 128.0).softmax(dim=1)\n"
        "torch.save(chances, sys.argv[1])\n"
    )
    torch.save(pictures(), tmp_path / "pictures.pt")
    command = [sys.executable, "-W", "ignore", "-c", program, str(tmp_path / "pictures.pt"), str(find_weights(OBJECTS))]
    environment = {"PYTHONPATH": str(package), "OMP_NUM_THREADS": "1"}
    subprocess.run(command, env=environment, check=True, capture_output=True)
    torch.testing.assert_close(
        EfficientNet.load(find_weights(OBJECTS))(pictures()), torch.load(tmp_path / "pictures.pt"), atol=2e-6, rtol=0
    )
