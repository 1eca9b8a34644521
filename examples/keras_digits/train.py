"""Trains the network on scikit-learn's digits and writes digits.keras, in half a minute."""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
from keras import layers
from net import FILE
from sklearn.datasets import load_digits

HELD_OUT = 360


def network() -> keras.Model:
    return keras.Sequential([
        layers.Input((8, 8, 1), name="image"),
        layers.Conv2D(12, 3, padding="same", activation="relu", name="strokes"),
        layers.BatchNormalization(name="scale"),
        layers.SeparableConv2D(24, 3, padding="same", activation="relu", name="shapes"),
        layers.MaxPooling2D(name="halve"), layers.Flatten(name="flat"),
        layers.Dense(10, activation="softmax", name="probs")])


def main() -> None:
    keras.utils.set_random_seed(0)
    pixels, labels = load_digits(return_X_y=True)
    images = (pixels / 16).astype("float32").reshape(-1, 8, 8, 1)
    net = network()
    net.compile(keras.optimizers.Adam(4e-3), "sparse_categorical_crossentropy",
                metrics=["accuracy"])
    net.fit(images[:-HELD_OUT], labels[:-HELD_OUT], epochs=10, batch_size=64, verbose=0)
    print(f"{net.evaluate(images[-HELD_OUT:], labels[-HELD_OUT:], verbose=0)[1]:.2%} held out")
    net.save(FILE)


if __name__ == "__main__":
    main()
