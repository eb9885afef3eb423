"""Transcripts as other programs write them."""

SRT = "1\n00:00:01,000 --> 00:00:02,500\nGood <i>morning</i>\neverybody.\n\n2\n0:00:02,000 --> 0:00:04,000\n7\n"
WHISPERX = {
    "segments": [
        {
            **{"start": 1.0, "end": 3.0, "text": " It costs 40 dollars."},
            "words": [
                {"word": "It", "start": 1.0, "end": 1.2, "score": 0.9},
                {"word": "costs", "start": 1.3, "end": 1.8, "score": 0.7},
                {"word": "40"},
                {"word": "dollars.", "start": 2.4, "end": 3.0, "score": 0.5},
            ],
        }
    ],
    "word_segments": [],
    "language": "en",
}
