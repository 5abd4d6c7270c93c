"""What curation may leave to networks that others trained: cuts, kinds of clips, the words of a merged caption."""
