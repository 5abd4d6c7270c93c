"""What these tests share with the rest of curation's."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
