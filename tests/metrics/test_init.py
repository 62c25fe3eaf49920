import subprocess
import sys
import textwrap

from mfif import metrics


def test_exports():
    for name in metrics.__all__:
        assert getattr(metrics, name).__doc__


def test_needs_neither_lightning_nor_kornia_nor_hydra(repo_environment):
    program = """
        import sys
        import mfif.metrics
        heavy = {"lightning", "pytorch_lightning", "kornia", "hydra", "omegaconf"}
        sys.exit(", ".join(heavy & {name.partition(".")[0] for name in sys.modules}) or None)
    """
    program = textwrap.dedent(program)
    done = subprocess.run([sys.executable, "-c", program], env=repo_environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
