print("sessionfs")
