#!/bin/sh
# Make the two notices anew, in this folder: espeak-ng speaks, sox brings it to telephone loudness, at 8 kHz (.wav) and 16 kHz (.wav16),
# so that Asterisk plays each party the one that fits. Better: have a person speak yours, and put the files under a name of your own.
set -eu
cd "$(dirname "$0")"

say() { # voice, words, name
    espeak-ng -v "$1" -s 150 --stdout "$2" |
        sox -t wav - -t wav -r 16000 -b 16 -c 1 "$3.wav16" norm -6 pad 0.2 0.3
    sox -t wav "$3.wav16" -t wav -r 8000 -b 16 "$3.wav" norm -6
}

say ru "Разговор записывается." recorded-ru
say en-gb "This call is being recorded." recorded-en
