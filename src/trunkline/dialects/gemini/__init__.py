"""Google's Gemini API (`generateContent`), as AI Studio and Vertex AI speak it; the other dialects are not known here."""
