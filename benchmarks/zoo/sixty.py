SIXTY: tuple[str, ...] = ("timm/resnet18", "timm/test_efficientnet")
