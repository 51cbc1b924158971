"""The tests of dbbackup.codecs; always imported as tests.codecs, so nothing is shadowed."""  # noqa: A005
