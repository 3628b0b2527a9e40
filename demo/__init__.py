"""The demo: a small shop whose product pictures the project rendered itself, and a campaign."""
