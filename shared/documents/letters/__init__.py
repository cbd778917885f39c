"""How often letters follow each other in each language, and how often Chinese characters and the like occur.

A file for each kind of script. All were counted in the 30,000 commonest words of each language in the film
subtitles of OpenSubtitles (the word lists of github.com/hermitdave/FrequencyWords), a word by the square root
of its count. A digit stands before the entries whose frequency is about e to the power of its negative: `3rü`
says that of all pairs about one in twenty is `rü`. `_` is a word's start or end. Pairs rarer than those
listed are left out.
"""
