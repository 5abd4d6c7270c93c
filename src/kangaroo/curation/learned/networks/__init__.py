"""Networks of others that curation may use, written anew from their papers: the one part of it that needs torch."""
