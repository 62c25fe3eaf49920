import pytest

from mfif.errors import InputError
from mfif.report.published import published_rows


def test_rows_of_the_paper() -> None:
    golf, mean = published_rows("table1"), published_rows("table2")
    assert list(golf) == list(mean) == ["gf", "im", "dsift", "bf", "cnn", "pcnn", "paper"]
    assert golf["bf"] == {"Q_MI": 1.123, "Q_G": 0.715, "EN": 7.004, "VIFF": 0.946}
    assert mean["paper"] == {"Q_MI": 1.192, "Q_G": 0.712, "EN": 7.401, "VIFF": 0.888}


def test_an_unknown_table() -> None:
    with pytest.raises(InputError, match="Did you mean `table1`"):
        published_rows("tabel1")
