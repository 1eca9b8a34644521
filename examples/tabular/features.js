const features = [
  {"name": "alcohol", "low": 11.03, "typical": 13.05, "high": 14.83},
  {"name": "malic acid", "low": 0.74, "typical": 1.865, "high": 5.8},
  {"name": "ash", "low": 1.36, "typical": 2.36, "high": 3.23},
  {"name": "alcalinity of ash", "low": 10.6, "typical": 19.5, "high": 30.0},
  {"name": "magnesium", "low": 70.0, "typical": 98.0, "high": 162.0},
  {"name": "total phenols", "low": 0.98, "typical": 2.355, "high": 3.88},
  {"name": "flavanoids", "low": 0.34, "typical": 2.135, "high": 5.08},
  {"name": "nonflavanoid phenols", "low": 0.13, "typical": 0.34, "high": 0.66},
  {"name": "proanthocyanins", "low": 0.41, "typical": 1.555, "high": 3.58},
  {"name": "color intensity", "low": 1.28, "typical": 4.69, "high": 13.0},
  {"name": "hue", "low": 0.48, "typical": 0.965, "high": 1.71},
  {"name": "od280/od315 of diluted wines", "low": 1.27, "typical": 2.78, "high": 4.0},
  {"name": "proline", "low": 278.0, "typical": 673.5, "high": 1680.0}
];
